"""A run scored in several modes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.factories import ListSink, tiny_plan
from trainer.mmseg_adapter.model.deployed import load_deployed
from trainer.mmseg_adapter.scoring.split import score_split
from trainer.mmseg_adapter.way import way_of
from trainer.plan import Plan
from trainer.run.worker import train

TWO = {"name": "two", "scales": [0.5, 1.0], "flip": True}
WINDOWS = {"name": "windows", "inference": {"window": [32, 48], "stride": [32, 16]}}
SCHEDULE = {"iterations": 40, "batch_size": 4, "learning_rate": 0.1}  # its labels vary
pytestmark = pytest.mark.slow


def make_plan(storage: Path, *modes: Any, **changes: Any) -> Plan:
    return tiny_plan(storage, **{"schedule": SCHEDULE, "evaluation": {"modes": list(modes)}, **changes})


def evals(sink: ListSink) -> list[Any]:
    return [record["mIoU"] for record in sink.records if record["kind"] == "eval"]


def test_a_block_for_each_mode(tmp_path: Path) -> None:
    """In the order of the spec, over all pictures, each as a mode of its own alone gives; told is the first's
    as training goes on. The weights are those that are kept.
    """
    plan, sink = make_plan(tmp_path, "single_scale", TWO, WINDOWS), ListSink()
    result = train(plan, sink)
    assert list(result.evaluation) == ["single_scale", "two", "windows"]
    assert {scores.images for scores in result.evaluation.values()} == {50}
    assert evals(sink) == [result.evaluation["single_scale"].mIoU]
    assert len({scores.aAcc for scores in result.evaluation.values()}) == 3
    assert result.eval_seconds > 0
    model, _ = load_deployed(plan.layout.file(result.checkpoint).local)
    modes, files = plan.spec.evaluation.by_name, plan.data.files(plan.data.eval_split)
    again = score_split(model, files, modes, way_of(plan.spec))
    for name in ("two", "windows"):
        [found] = score_split(model, files, {name: modes[name]}, way_of(plan.spec)).values()
        assert (found.confusion == again[name].confusion).all()
        scores = result.evaluation[name].classes
        assert [one.tp for one in scores] == again[name].confusion.diagonal().tolist()


def test_the_first_mode_is_told(tmp_path: Path) -> None:
    """Where it is not single scale either: at each interval, and at the end."""
    evaluation = {"modes": [TWO, "single_scale"], "interval": 20}
    plan, sink = make_plan(tmp_path, evaluation=evaluation), ListSink()
    result = train(plan, sink)
    assert list(result.evaluation) == ["two", "single_scale"]
    assert len(evals(sink)) == 2
    assert evals(sink)[-1] == result.evaluation["two"].mIoU
    other = train(make_plan(tmp_path, "single_scale", TWO, experiment="e2"), ListSink())
    for mode, scores in result.evaluation.items():
        assert other.evaluation[mode] == scores


def test_a_run_killed_after_its_last_step(tmp_path: Path) -> None:
    """Resumed, it scores in all modes, the same as one that was not killed."""
    whole = train(make_plan(tmp_path, "single_scale", TWO, experiment="e2"), ListSink())
    killed = ListSink(at=40, kind="eval", error=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        train(make_plan(tmp_path, "single_scale", TWO), killed)
    resumed = train(make_plan(tmp_path, "single_scale", TWO, attempt=2), ListSink())
    assert resumed.evaluation == whole.evaluation


def test_the_average_is_scored_in_all_modes(tmp_path: Path) -> None:
    """With an average of the weights that is what every mode scores, and what is kept."""
    plan = make_plan(tmp_path, "single_scale", TWO, schedule={**SCHEDULE, "ema": 0.5})
    result = train(plan, ListSink())
    model, _ = load_deployed(plan.layout.file(result.checkpoint).local)
    modes, files = plan.spec.evaluation.by_name, plan.data.files(plan.data.eval_split)
    for name, counts in score_split(model, files, modes, way_of(plan.spec)).items():
        tp = [one.tp for one in result.evaluation[name].classes]
        assert tp == counts.confusion.diagonal().tolist()
