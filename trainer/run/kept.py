"""What is kept of a training to deploy: the final weights, and those of the best evaluation before them."""

from __future__ import annotations

from typing import Any, NamedTuple

from mmengine.dist import get_rank
from mmengine.runner import Runner
from torch import nn

from trainer.mmseg_adapter.checkpoint import save_whole
from trainer.mmseg_adapter.head import deployable_state
from trainer.mmseg_adapter.model.kept import deployable_meta
from trainer.mmseg_adapter.step.average import scored
from trainer.plan import Plan
from trainer.results.report import Scores
from trainer.spec.evaluation import named
from trainer.storage.checkpoints import Facts, KeptScore, drop_lesser, read_facts


class Deployable(NamedTuple):
    """A checkpoint to deploy, not written yet; tensors on the CPU."""

    payload: dict[str, Any]
    facts: Facts
    parameters: int


def _comparable(facts: Facts | None, plan: Plan) -> KeptScore | None:
    """The score of the best so far; None of another spec's, or where another score was asked for."""
    if facts is None or facts.score is None or facts.spec_hash != plan.spec_hash:
        return None
    return facts.score if facts.score.name == plan.spec.checkpoints.best else None


class KeptWeights:
    """Rank 0 keeps the weights of each evaluation that beats all before it; the last one's are `final`.

    What the best so far was is read from its file: a resumed run goes on where it was.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._best = plan.layout.file(plan.layout.best_checkpoint(plan.experiment))
        self._last: KeptScore | None = None
        self._to_beat = _comparable(read_facts(self._best), plan)

    def add(self, runner: Runner, iteration: int, scores: Scores) -> None:
        """Takes an evaluation: where it is the best so far, and not the last, its weights are written.

        Raises:
            DiskFull: there is no room; the best so far stays.
        """
        self._last = self._score(scores)
        if iteration >= self._plan.spec.schedule.iterations or not self._is_best(self._last):
            return
        if get_rank() == 0:
            made = self.deployable(scored(runner), iteration)
            save_whole(made.payload, self._best, made.facts)
        self._to_beat = self._last

    def deployable(self, model: nn.Module, iteration: int) -> Deployable:
        """`model` after `iteration`, which was evaluated last: weights without a branch, which load strictly
        into plain mmseg, and what `load_deployed` needs.
        """
        state = {name: tensor.cpu() for name, tensor in deployable_state(model).items()}
        trained = {name for name, _ in model.named_parameters()}
        meta = deployable_meta(self._plan.model_dump(mode="json"), iteration=iteration, score=self._last)
        facts = Facts(
            iteration=iteration,
            spec_hash=self._plan.spec_hash,
            score=self._last,
            best=self._is_best(self._last),
        )
        parameters = sum(tensor.numel() for name, tensor in state.items() if name in trained)
        return Deployable({"state_dict": state, "meta": meta}, facts, parameters)

    def write_final(self, made: Deployable) -> str:
        """Writes final.pth on rank 0; its name in storage. An earlier best that it beats goes.

        Raises:
            DiskFull: there is no room; nothing of it stays.
        """
        layout, experiment = self._plan.layout, self._plan.experiment
        if get_rank() == 0:
            save_whole(made.payload, layout.file(layout.final_checkpoint(experiment)), made.facts)
            drop_lesser(layout, experiment)
        return layout.final_checkpoint(experiment)

    def _score(self, scores: Scores) -> KeptScore | None:
        name = self._plan.spec.checkpoints.best or "mIoU"
        value = getattr(scores, name)
        mode = next(iter(named(self._plan.spec.evaluation.modes)))
        return None if value is None else KeptScore(name=name, value=value, mode=mode)

    def _is_best(self, score: KeptScore | None) -> bool:
        """A tie is the earlier one's."""
        if self._plan.spec.checkpoints.best is None or score is None:
            return False
        return self._to_beat is None or score.value > self._to_beat.value
