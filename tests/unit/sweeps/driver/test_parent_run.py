"""What the run above the trials' runs is told at each opening."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sweeps.document.spec import SweepSpec, parse_sweep
from sweeps.document.stages import extended, parse_extension
from sweeps.driver.mlflow_parent import ParentRun
from tests.data_factories import spec_document
from trainer.storage.layout import Storage
from trainer.tracking.tracker import Opened, RunIds, RunInfo

DOCUMENT: dict[str, Any] = {
    "base": spec_document(method={"kind": "region_rebalance"}),
    "axes": [{"pointer": "/method/lambda", "grid": [0, 0.3]}],
    "seeds": [0],
}


class Listening:
    """An MLflow that remembers what runs were opened with."""

    def __init__(self) -> None:
        self.opened: list[RunInfo] = []

    def open(self, info: RunInfo) -> Opened:
        self.opened.append(info)
        return Opened(RunIds("m1", "0"))

    def show_view(self, view: object) -> None:
        """Charts are of no interest here."""


@pytest.fixture
def mlflow() -> Listening:
    return Listening()


def params(mlflow: Listening, sweep: SweepSpec, storage: Storage) -> dict[str, Any]:
    """What the sweep's next job opens its run with."""
    connect: Any = lambda uri: mlflow  # noqa: E731
    ParentRun(sweep, "s", storage, "http://mlflow", connect=connect)
    return {key: json.loads(value) for key, value in mlflow.opened[-1].params.items()}


def test_an_extension_is_a_parameter_of_its_own(mlflow: Listening, tmp_path: Path) -> None:
    """MLflow changes none: what the sweep began with stays so, also in a run that is made anew."""
    storage, sweep = Storage(tmp_path), parse_sweep(DOCUMENT)
    first = params(mlflow, sweep, storage)
    assert not any(key.startswith("extension") for key in first)
    for asked in ({"seeds": 2}, {"axes": {"/method/lambda": [0.5]}}):
        sweep = parse_sweep(json.loads(extended(sweep, parse_extension(asked)).model_dump_json()))
    assert params(mlflow, sweep, storage) == {
        **first,
        "extension.1": {"seeds": [1, 2]},
        "extension.2": {"axes": {"/method/lambda": [0.5]}},
    }
