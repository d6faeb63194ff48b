"""What is kept of a training: the newest to resume from, the best evaluation, and all of it read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.factories import ListSink, tiny_plan
from trainer.base.errors import CheckpointError
from trainer.mmseg_adapter.model.deployed import load_deployed
from trainer.mmseg_adapter.model.kept import load_kept
from trainer.plan import Plan
from trainer.run.worker import train
from trainer.storage.checkpoints import StoredCheckpoint, list_checkpoints, read_facts

pytestmark = pytest.mark.slow

EVERY_STEP = {"evaluation": {"interval": 1}, "checkpoints": {"keep_last": 3}}


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("storage")


def planned(storage: Path, experiment: str, *, keep_plan: bool = True, **words: Any) -> Plan:
    plan = tiny_plan(storage, experiment=experiment, **words)
    if keep_plan:
        plan.attempt_dir.plan.write(plan.model_dump_json())
    return plan


def scores_of(sink: ListSink) -> dict[int, float]:
    return {record["iteration"]: record["mIoU"] for record in sink.records if record["kind"] == "eval"}


def there(plan: Plan) -> dict[str, StoredCheckpoint]:
    return {each.name: each for each in list_checkpoints(plan.layout, plan.experiment)}


def best_of(scores: dict[int, float]) -> int:
    """The iteration of the first of the highest scores."""
    return max(scores, key=lambda iteration: (scores[iteration], -iteration))


@pytest.fixture(scope="module")
def falling(storage: Path) -> tuple[Plan, dict[int, float]]:
    """A training whose last evaluation is not its best."""
    for seed in range(10):
        plan = planned(storage, f"falling-{seed}", seed=seed, method="region_rebalance", **EVERY_STEP)
        sink = ListSink()
        train(plan, sink)
        scores = scores_of(sink)
        if best_of(scores) != 4:
            return plan, scores
    raise AssertionError("every training was best at its end")


def test_the_best_evaluation_is_kept(falling: tuple[Plan, dict[int, float]]) -> None:
    """best.pth has iteration and score of the first of the highest scores, in the file and in the list."""
    plan, scores = falling
    best = there(plan)["best"]
    assert best.best
    assert not there(plan)["final"].best
    assert (best.iteration, best.score and best.score.value) == (best_of(scores), max(scores.values()))
    _, meta = load_deployed(plan.layout.file(best.file).local)
    assert meta["iteration"] == best.iteration
    assert meta["score"] == {"name": "mIoU", "value": max(scores.values()), "mode": "single_scale"}
    assert list(there(plan)) == ["final", "best", "iter_4", "iter_3", "iter_2"]
