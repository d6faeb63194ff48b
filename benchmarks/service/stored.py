"""Experiments in a database, written past the API: as many as have come together in months."""

from __future__ import annotations

import json
import secrets
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from service.shared.states import State
from service.store.database import Database
from service.store.experiment_rows import ExperimentRows
from service.store.new_rows import new_experiment
from trainer.spec.spec import parse_spec
from trainer.storage.layout import Storage

SPEC: dict[str, Any] = {
    "dataset": {"name": "digit_scenes"},
    "model": "small",
    "method": {"kind": "region_rebalance", "lambda": 0.3},
    "schedule": {"iterations": 1000, "batch_size": 16, "crop_size": [64, 64]},
    "resources": {"workers": 1, "gpus_per_worker": 0},
    "tags": {"purpose": "load"},
}
_AT_ONCE = 2000
_RECORDS = 50  # of a running experiment's curve
_BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
_APART = timedelta(minutes=1)
_ENDED = {
    "state": State.COMPLETED,
    "headline": {"mIoU": 71.25, "mAcc": 80.5, "aAcc": 93.75},
    "progress": {"iteration": 1000, "iterations": 1000, "loss": 0.25},
}


def store(database: str, number: int, *, first: int = 0, state: State = State.COMPLETED) -> list[str]:
    """The ids of `number` new experiments in `state`, each a minute younger than the one before.

    `first`: how many were stored before. Those that run or wait are due to nothing: their time was just now.
    """
    parsed = parse_spec(SPEC)
    plain = new_experiment("-", parsed, _BEGIN)
    rows = [
        replace(plain, id=secrets.token_hex(6), **_changes(state, _BEGIN + (first + each) * _APART))
        for each in range(number)
    ]
    with closing(Database(database)) as opened:
        ledger = ExperimentRows(opened)
        for start in range(0, number, _AT_ONCE):
            some = rows[start : start + _AT_ONCE]
            with opened.writing() as connection:
                ledger.insert_tagged(connection, [(row, parsed.tags) for row in some], "stored")
    return [row.id for row in rows]


def _changes(state: State, at: datetime) -> dict[str, Any]:
    found: dict[str, Any] = {"created_at": at, "updated_at": at, "queued_at": at}
    if state is State.QUEUED:
        return found
    found |= {"started_at": at, "mlflow_run_id": secrets.token_hex(16)}
    if state is State.RUNNING:
        return found | {"state": state, "job_status": "running", "job_since": at, "admitted_at": at}
    return found | {"ended_at": at + _APART, **_ENDED}


def leave_directories(storage: Storage, rows: list[str]) -> None:
    """What running jobs of these experiments have left so far: spec, curve, log, their MLflow run's id."""
    curve = "".join(
        json.dumps({"time": 1.0, "kind": "train", "iteration": 10 * each, "loss": 1 / each}) + "\n"
        for each in range(1, _RECORDS + 1)
    )
    for identifier in rows:
        here = storage.attempt(identifier, 1)
        here.path.mkdir(parents=True)
        (here.path / "spec.json").write_text(json.dumps(SPEC))
        (here.path / "metrics.jsonl").write_text(curve)
        (here.path / "log.txt").write_text("step 500\n" * _RECORDS)
        ids = {"run_id": secrets.token_hex(16), "experiment_id": "1"}
        storage.mlflow_run(identifier).local.write_text(json.dumps(ids))
