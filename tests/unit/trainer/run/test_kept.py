"""What is kept of a training: the newest to resume from, the best evaluation, and all of it read again."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.factories import ListSink, tiny_plan
from trainer.base.errors import CheckpointError
from trainer.mmseg_adapter.checkpoint import save_whole
from trainer.mmseg_adapter.model.deployed import load_deployed
from trainer.mmseg_adapter.model.kept import load_kept
from trainer.plan import Plan
from trainer.run.worker import train
from trainer.storage.checkpoints import StoredCheckpoint, list_checkpoints, prune, read_facts

pytestmark = pytest.mark.slow

EVERY_STEP: dict[str, Any] = {"evaluation": {"interval": 1}, "checkpoints": {"keep_last": 3}}
METHODS: dict[str, dict[str, Any]] = {
    "branch": {"method": "region_rebalance"},
    "shifted": {"method": {"kind": "logit_adjustment", "mode": "post_hoc"}},
    "averaged": {"schedule": {"iterations": 4, "batch_size": 4, "learning_rate": 0.1, "ema": 0.5}},
}


class Stop(Exception):
    """Stands for a kill."""


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("storage")


def planned(storage: Path, experiment: str, **words: Any) -> Plan:
    """A plan that is kept beside the run, as an attempt keeps it."""
    plan = tiny_plan(storage, experiment=experiment, **words)
    plan.attempt_dir.plan.write(plan.model_dump_json())
    return plan


def scores_of(sink: ListSink) -> dict[int, float]:
    return {record["iteration"]: record["mIoU"] for record in sink.records if record["kind"] == "eval"}


def there(plan: Plan) -> dict[str, StoredCheckpoint]:
    return {each.name: each for each in list_checkpoints(plan.layout, plan.experiment)}


def first_of_the_highest(scores: dict[int, float]) -> int:
    return max(scores, key=lambda iteration: (scores[iteration], -iteration))


def state_in(plan: Plan, name: str) -> dict[str, torch.Tensor]:
    path = plan.layout.checkpoints(plan.experiment).local / f"{name}.pth"
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["state_dict"]
    return state


@pytest.fixture(scope="module")
def falling(storage: Path) -> tuple[Plan, dict[int, float]]:
    """A training whose last evaluation is not its best."""
    for seed in range(10):
        plan, sink = planned(storage, f"falling-{seed}", seed=seed, **EVERY_STEP), ListSink()
        train(plan, sink)
        if first_of_the_highest(scores_of(sink)) != 4:
            return plan, scores_of(sink)
    raise AssertionError("every training was best at its end")


def test_the_best_evaluation_is_kept(falling: tuple[Plan, dict[int, float]]) -> None:
    """best.pth has iteration and score of the first of the highest scores, in the file and in the list."""
    plan, scores = falling
    best = there(plan)["best"]
    assert best.best
    assert not there(plan)["final"].best
    assert best.score is not None
    assert (best.iteration, best.score.value) == (first_of_the_highest(scores), max(scores.values()))
    meta = load_kept(plan.layout, plan.experiment, "best").meta
    assert meta["iteration"] == best.iteration
    assert meta["score"] == {"name": "mIoU", "value": max(scores.values()), "mode": "single_scale"}
    assert list(there(plan)) == ["final", "best", "iter_4", "iter_3", "iter_2"]


def test_the_best_is_the_training_at_that_iteration(falling: tuple[Plan, dict[int, float]]) -> None:
    """Its weights are those of a training that is cut off there, made deployable from iter_N.pth."""
    plan, scores = falling
    best = first_of_the_highest(scores)
    cut = planned(
        plan.layout.root, "cut", seed=plan.spec.seed, **{**EVERY_STEP, "checkpoints": {"keep_last": 4}}
    )
    with pytest.raises(Stop):
        train(cut, ListSink(at=best, kind="eval", error=Stop()))
    kept = load_kept(cut.layout, "cut", best)
    assert kept.file == f"runs/cut/checkpoints/iter_{best}.pth"
    state, expected = kept.model.state_dict(), state_in(plan, "best")
    assert not [name for name in expected if not torch.equal(state[name], expected[name])]


@pytest.mark.parametrize("name", METHODS)
def test_a_checkpoint_to_resume_from_is_made_to_deploy(storage: Path, name: str) -> None:
    """iter_4.pth of a training of 4 is final.pth, bit for bit: no branch, shift in the bias, the average."""
    plan = planned(storage, f"made-{name}", **METHODS[name])
    train(plan, ListSink())
    last, final = (load_kept(plan.layout, plan.experiment, which) for which in ("last", "final"))
    assert (last.iteration, last.file) == (4, f"runs/made-{name}/checkpoints/iter_4.pth")
    assert last.meta == {**final.meta, "score": None}
    state, expected = last.model.state_dict(), final.model.state_dict()
    assert list(state) == list(expected)
    assert not [key for key in state if not torch.equal(state[key], expected[key])]
    assert not last.model.training


def test_one_evaluation_is_kept_once(storage: Path) -> None:
    """Where the last evaluation is the best, `best` is final.pth, and no second file has its weights."""
    plan = planned(storage, "once")
    train(plan, ListSink())
    assert list(there(plan)) == ["final", "iter_4", "iter_3"]
    assert there(plan)["final"].best
    assert load_kept(plan.layout, "once", "best").file == "runs/once/checkpoints/final.pth"


def test_a_resumed_run_knows_the_best(storage: Path, falling: tuple[Plan, dict[int, float]]) -> None:
    """Stopped after best.pth, before the evaluation was told: the file in the end is the same, to the bit."""
    whole, scores = falling
    at = first_of_the_highest(scores)
    plan = planned(storage, "resumed", seed=whole.spec.seed, **EVERY_STEP)
    with pytest.raises(Stop):
        train(plan, ListSink(at=at, kind="eval", error=Stop()))
    sink = ListSink()
    train(plan, sink)
    assert min(scores_of(sink)) == at  # nobody had been told of that evaluation: it was done again
    assert scores_of(sink) == {key: value for key, value in scores.items() if key >= at}
    assert there(plan)["best"].iteration == at
    best, expected = state_in(plan, "best"), state_in(whole, "best")
    assert not [name for name in expected if not torch.equal(best[name], expected[name])]


def test_an_evaluation_that_was_told_is_not_repeated(storage: Path) -> None:
    """Resumed at a checkpoint whose evaluation is in metrics.jsonl, a run trains on at once."""
    plan = planned(storage, "told", **EVERY_STEP)
    with pytest.raises(Stop):
        train(plan, ListSink(at=2, kind="eval", error=Stop()))
    plan.attempt_dir.metrics.write('{"kind": "eval", "iteration": 2, "mIoU": 1.0}\n')
    sink = ListSink()
    train(plan, sink)
    assert list(scores_of(sink)) == [3, 4]


def test_no_best_is_kept_where_none_is_wanted(storage: Path) -> None:
    """`best: null` keeps the newest and the final alone, and asking for the best says what is there."""
    plan = planned(storage, "none", evaluation={"interval": 2}, checkpoints={"best": None, "keep_last": 1})
    train(plan, ListSink())
    assert list(there(plan)) == ["final", "iter_4"]
    with pytest.raises(CheckpointError, match="none has no checkpoint 'best'; there are: final, iter_4"):
        load_kept(plan.layout, "none", "best")


def test_what_is_kept_changes_no_hash_and_no_weights(storage: Path) -> None:
    """Words of checkpoints are no part of the training: the same spec hash, the same final weights."""
    plan = planned(storage, "words", evaluation={"interval": 2}, checkpoints={"best": "tail_mIoU"})
    plain = planned(storage, "plain", evaluation={"interval": 2})
    assert plan.spec_hash == plain.spec_hash
    for each in (plan, plain):
        train(each, ListSink())
    left, right = state_in(plan, "final"), state_in(plain, "final")
    assert not [name for name in left if not torch.equal(left[name], right[name])]
    facts = read_facts(plan.layout.file(plan.layout.final_checkpoint("words")))
    assert facts is not None
    assert facts.score is None or facts.score.name == "tail_mIoU"


@pytest.fixture
def copied(storage: Path, tmp_path: Path) -> Plan:
    """A trained experiment to damage: another storage, the same files."""
    plan = planned(tmp_path, "copied")
    train(plan, ListSink())
    return plan


def test_what_cannot_be_read_is_told(copied: Plan) -> None:
    """Truncated, of another spec or of other classes: each a sentence with the file's name."""
    newest = copied.layout.checkpoints("copied").local / "iter_4.pth"
    payload = torch.load(newest, weights_only=True)
    file = copied.layout.file("runs/copied/checkpoints/iter_4.pth")
    foreign = copy.deepcopy(payload)
    foreign["state_dict"]["decode_head.conv_seg.bias"] = torch.zeros(3)
    save_whole(foreign, file)
    with pytest.raises(CheckpointError, match=r"do not fit the model of the experiment's plan\.json"):
        load_kept(copied.layout, "copied", "last")
    save_whole({**payload, "spec_hash": "0" * 64}, file)
    with pytest.raises(CheckpointError, match="for another spec"):
        load_kept(copied.layout, "copied", 4)
    os.truncate(newest, newest.stat().st_size // 2)
    with pytest.raises(CheckpointError, match=r"iter_4\.pth is cut short"):
        load_kept(copied.layout, "copied", "last")
    copied.attempt_dir.plan.delete()
    with pytest.raises(CheckpointError, match=r"no attempt has left a plan\.json"):
        load_kept(copied.layout, "copied", 3)


def test_pruned_a_run_still_resumes(copied: Plan) -> None:
    """What is left while a run goes on is enough to resume and to deploy; torch reads files with facts."""
    prune(copied.layout, "copied", keep=(), running=True)
    assert list(there(copied)) == ["iter_4", "iter_3"]
    train(copied, ListSink())
    load_deployed(copied.layout.file(copied.layout.final_checkpoint("copied")).local)
