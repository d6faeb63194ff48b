"""train() with parameter groups: resumed exactly, refused before the first step."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.factories import ListSink, tiny_plan
from trainer.base.errors import SpecError
from trainer.run.worker import train

pytestmark = pytest.mark.slow

GROUPS = [{"match": "backbone", "learning_rate": 0.1}, {"match": "conv_seg", "weight_decay": 0.0}]


class Stop(Exception):
    """Stands for a kill between two iterations."""


def schedule(**words: object) -> dict[str, object]:
    return {"iterations": 6, "batch_size": 4, "warmup_iterations": 2, "min_learning_rate": 0.001, **words}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_resume_with_groups_is_exact(tmp_path: Path, optimizer: str) -> None:
    """Stopped in its decay and started again, a run has the rates and the weights of one never stopped."""
    words = schedule(
        optimizer=optimizer, learning_rate=0.01, parameter_groups=GROUPS, no_weight_decay=["norms"]
    )
    states, rates = [], []
    for name in ("whole", "stopped"):
        plan = tiny_plan(tmp_path, experiment=name, method="region_rebalance", schedule=words)
        sink = ListSink()
        if name == "stopped":
            with pytest.raises(Stop):
                train(plan, ListSink(at=4, error=Stop()))
        train(plan, sink)
        rates.append([record["learning_rate"] for record in sink.records if record["kind"] == "train"])
        path = plan.layout.checkpoints(name).local / "final.pth"
        states.append(torch.load(path, weights_only=True)["state_dict"])
    assert rates[1] == rates[0][3:]
    whole, stopped = states
    assert [name for name in whole if not torch.equal(whole[name], stopped[name])] == []


def test_groups_move_the_weights(tmp_path: Path) -> None:
    """The identity above is not one of groups that are never used: without a rate a part stays as it was."""
    words = schedule(
        parameter_groups=[{"match": "backbone.layer1", "learning_rate": 0.0, "weight_decay": 0.0}],
        min_learning_rate=0.0,
    )
    ends = []
    for iterations in (4, 6):
        plan = tiny_plan(
            tmp_path, experiment=f"still-{iterations}", schedule={**words, "iterations": iterations}
        )
        train(plan, ListSink())
        path = plan.layout.checkpoints(plan.experiment).local / "final.pth"
        ends.append(torch.load(path, weights_only=True)["state_dict"])
    same = {name for name, value in ends[0].items() if torch.equal(value, ends[1][name])}
    weights = {name for name in ends[0] if name.endswith(("weight", "bias"))}
    assert same & weights == {name for name in weights if name.startswith("backbone.layer1")}


def test_a_match_of_nothing_ends_the_job_before_the_first_step(tmp_path: Path) -> None:
    """As an error of the spec, which is not tried again."""
    plan = tiny_plan(tmp_path, schedule=schedule(parameter_groups=[*GROUPS, {"match": "neck"}]))
    sink = ListSink()
    with pytest.raises(SpecError) as caught:
        train(plan, sink)
    assert [problem.pointer for problem in caught.value.problems] == ["/schedule/parameter_groups/2/match"]
    assert sink.records == []
