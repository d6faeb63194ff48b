"""Checkpoints that MLflow gets on request, of runs that ended well and of runs that did not."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.factories import ListSink, tiny_plan
from trainer.mmseg_adapter.model.deployed import load_deployed
from trainer.plan import Plan
from trainer.run.worker import train
from trainer.tracking.checkpoints import send_tracked

pytestmark = pytest.mark.slow


class Stop(Exception):
    """Stands for a failure."""


class Files:
    """A tracker that keeps what it is sent, read again as a checkpoint to deploy."""

    def __init__(self) -> None:
        self.sent: dict[str, tuple[dict[str, torch.Tensor], dict[str, Any]]] = {}

    def log_file(self, path: Path, folder: str = "") -> None:
        model, meta = load_deployed(path)
        self.sent[f"{folder}/{path.name}"] = model.state_dict(), meta


def sent(plan: Plan) -> dict[str, tuple[dict[str, torch.Tensor], dict[str, Any]]]:
    tracker: Any = Files()
    send_tracked(plan, tracker)
    kept: dict[str, tuple[dict[str, torch.Tensor], dict[str, Any]]] = tracker.sent
    return kept


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    checkpoints = {"track": ["best", "last"]}
    plan = tiny_plan(tmp_path, method="region_rebalance", evaluation={"interval": 1}, checkpoints=checkpoints)
    plan.attempt_dir.plan.write(plan.model_dump_json())
    return plan


def test_of_a_run_that_failed(plan: Plan) -> None:
    """The best evaluation's weights and the newest, both in the form to deploy, though there is no final."""
    with suppress(Stop):
        train(plan, ListSink(at=2, kind="eval", error=Stop()))
    found = sent(plan)
    assert list(found) == ["checkpoint/best.pth", "checkpoint/last.pth"]
    assert found["checkpoint/last.pth"][1]["iteration"] == 2
    assert found["checkpoint/best.pth"][1]["score"]["name"] == "mIoU"
    assert not [name for name in found["checkpoint/last.pth"][0] if "criterion" in name]


def test_the_last_alone(tmp_path: Path) -> None:
    """Made from iter_N.pth, where no file to deploy is of that iteration."""
    plan = tiny_plan(tmp_path, evaluation={"interval": 2}, checkpoints={"best": None, "track": ["last"]})
    plan.attempt_dir.plan.write(plan.model_dump_json())
    with suppress(Stop):
        train(plan, ListSink(at=3, error=Stop()))
    found = sent(plan)
    assert [meta["iteration"] for _, meta in found.values()] == [2]


def test_of_a_run_that_completed(plan: Plan) -> None:
    """What is asked for is there under its name, also where the file has another one."""
    train(plan, ListSink())
    found = sent(plan)
    assert list(found) == ["checkpoint/best.pth", "checkpoint/last.pth"]
    assert found["checkpoint/last.pth"][1]["iteration"] == 4


def test_of_a_run_that_left_none(plan: Plan, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is sent, the log says why, and nothing is missing that could be sent again."""
    assert sent(plan) == {}
    assert "best is not sent to MLflow: e1 has no checkpoint 'best'; there are: none" in caplog.text


def test_nothing_unasked(tmp_path: Path) -> None:
    plan = tiny_plan(tmp_path)
    train(plan, ListSink())
    assert sent(plan) == {}
