"""Small real specs, data and plans for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainer.plan import Plan, make_plan
from trainer.spec.spec import ExperimentSpec, parse_spec
from trainer.storage.layout import Storage
from trainer.storage.sink import Record
from trainer.task import Task


def tiny_document(**overrides: Any) -> dict[str, Any]:
    """A spec that trains in about a second: 50 scenes, few iterations. Nested fields are replaced whole."""
    document: dict[str, Any] = {
        "name": "tiny",
        "dataset": {"name": "digit_scenes", "train_images": 50, "eval_images": 50},
        "model": "small",
        "method": "baseline",
        "schedule": {"iterations": 4, "batch_size": 4, "learning_rate": 0.1},
    }
    return document | overrides


def tiny_spec(**overrides: Any) -> ExperimentSpec:
    return parse_spec(tiny_document(**overrides))


def tiny_plan(storage: Path, *, experiment: str = "e1", attempt: int = 1, **overrides: Any) -> Plan:
    spec, root = tiny_spec(**overrides), str(Storage.at(storage).root)
    task = Task(experiment=experiment, attempt=attempt, spec=spec, storage=root)
    return make_plan(task, lambda _: None)


class ListSink:
    """Keeps every record; raises `error` when the record of this kind of iteration `at` comes."""

    def __init__(
        self, *, at: int | None = None, kind: str = "train", error: BaseException | None = None
    ) -> None:
        self.records: list[Record] = []
        self._at = at
        self._kind = kind
        self._error = error

    def emit(self, record: Record) -> None:
        self.records.append(record)
        if self._error and record["kind"] == self._kind and record["iteration"] == self._at:
            raise self._error
