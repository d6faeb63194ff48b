"""Precision, averages of the weights and recomputed activations: what each does to a run, and what not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.factories import ListSink, tiny_plan
from trainer.mmseg_adapter.isolation import forget_run
from trainer.mmseg_adapter.step.average import average_of, bare
from trainer.run.runner import Evaluations, build_runner
from trainer.run.worker import train

pytestmark = pytest.mark.slow

SCHEDULE: dict[str, Any] = {"iterations": 6, "batch_size": 4, "learning_rate": 0.1}
WORDS: dict[str, dict[str, Any]] = {
    "bf16": {"precision": "bf16", "channels_last": True},
    "accumulate": {"accumulate": 2, "clip_gradient_norm": 1.0},
    "ema": {"ema": 0.5},
    "all": {"precision": "bf16", "accumulate": 2, "ema": 0.9, "activation_checkpointing": True},
}


class Stop(Exception):
    """Stands for a kill between two iterations."""


def final(plan: Any) -> dict[str, torch.Tensor]:
    path = plan.layout.checkpoints(plan.experiment).local / "final.pth"
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["state_dict"]
    return state


def different(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> list[str]:
    assert left.keys() == right.keys()
    return [name for name in left if not torch.equal(left[name], right[name])]


def weights(model: Any) -> torch.Tensor:
    found: torch.Tensor = model.decode_head.conv_seg.weight.detach().clone()
    return found


@pytest.mark.parametrize("name", list(WORDS))
def test_resume_is_exact(tmp_path: Path, name: str) -> None:
    """A run stopped twice ends with the weights and scores of one never stopped, bit for bit."""
    schedule = {**SCHEDULE, **WORDS[name]}
    whole = tiny_plan(tmp_path, experiment="whole", method="region_rebalance", schedule=schedule)
    expected = train(whole, ListSink())
    stopped = tiny_plan(tmp_path, experiment="stopped", method="region_rebalance", schedule=schedule)
    for at in (3, 5):
        with pytest.raises(Stop):
            train(stopped, ListSink(at=at, error=Stop()))
    assert train(stopped, ListSink()).evaluation == expected.evaluation
    assert not different(final(stopped), final(whole))


def test_recomputed_activations_change_nothing(tmp_path: Path) -> None:
    """Bit for bit, running statistics included, which a second forward pass would move twice."""
    states = []
    for name, again in (("plain", False), ("again", True)):
        schedule = {**SCHEDULE, "activation_checkpointing": again}
        plan = tiny_plan(tmp_path, experiment=name, schedule=schedule)
        train(plan, ListSink())
        states.append(final(plan))
    assert not different(*states)


def test_the_average_is_of_the_weights_and_is_kept(tmp_path: Path) -> None:
    """After t steps it is a_t = d a_(t-1) + (1 - d) w_t, a_1 = w_1; final.pth holds it, checkpoints both."""
    plan = tiny_plan(tmp_path, experiment="ema", schedule={**SCHEDULE, "iterations": 3, "ema": 0.5})
    seen: list[torch.Tensor] = []

    class Watching(ListSink):
        def emit(self, record: dict[str, Any]) -> None:
            if record["kind"] == "train":
                seen.append(weights(bare(runner.model)))

    sink = Watching()
    runner = build_runner(plan, sink, Evaluations(plan, sink))
    try:
        runner.train()
        average = average_of(runner)
        assert average is not None
        kept = weights(average.module)
    finally:
        forget_run(runner)
    wanted = 0.5 * (0.5 * seen[0] + 0.5 * seen[1]) + 0.5 * seen[2]
    torch.testing.assert_close(kept, wanted)
    assert not torch.equal(kept, seen[2])


def test_bf16_is_near_float32(tmp_path: Path) -> None:
    """The first losses agree to bf16's digits, and not to the bit."""
    losses = {}
    for precision in ("float32", "bf16"):
        sink = ListSink()
        schedule = {**SCHEDULE, "iterations": 1, "precision": precision}
        train(tiny_plan(tmp_path, experiment=precision, method="region_rebalance", schedule=schedule), sink)
        losses[precision] = sink.records[0]
    for name in ("loss_pixel", "loss_region"):
        assert losses["bf16"][name] != losses["float32"][name]
        assert losses["bf16"][name] == pytest.approx(losses["float32"][name], rel=0.02)
