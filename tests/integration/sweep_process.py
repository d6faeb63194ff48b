"""A sweep in a process of its own, as a user without the service runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sweeps.results.report import SweepReport, read_sweep_report
from sweeps.results.table import Table
from tests.factories import tiny_document
from trainer.results.report import AttemptReport, read_report
from trainer.storage.layout import Storage
from trainer.storage.sink import read_records

LIMIT_SECONDS = 600.0  # a busy machine with two cores
ENVIRONMENT = {"RAY_AUTH_MODE": "disabled", "OMP_NUM_THREADS": "1"}


def until(condition: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + LIMIT_SECONDS
    while not (value := condition()):
        assert time.monotonic() < end, what
        threading.Event().wait(0.05)
    return value


@contextmanager
def ray_process(script: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A Ray that `script` starts in a process of its own; its address, which the script prints after "at".

    It stops when its stdin ends.
    """
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | ENVIRONMENT,
    ) as process:
        assert process.stdout is not None
        yield next(line.split()[1] for line in process.stdout if line.startswith("at ")), process
        process.communicate("")


class Sweep:
    """A sweep's document and storage, and its drivers."""

    def __init__(self, directory: Path, document: dict[str, Any], cluster: str | None) -> None:
        self.storage = Storage.at(directory / "storage")
        self.dir = self.storage.sweep("s")
        self._out = directory / "out.txt"
        self._spec = directory / "sweep.json"
        self._spec.write_text(json.dumps(document))
        self._environment = os.environ | ENVIRONMENT
        if cluster is not None:
            self._environment["RAY_ADDRESS"] = cluster

    def becomes(self, document: dict[str, Any]) -> None:
        """From now on its drivers are given another document."""
        self._spec.write_text(json.dumps(document))

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "sweeps.job", "--spec", str(self._spec), "--sweep", "s"]
        with self._out.open("ab") as out:
            return subprocess.Popen(
                [*argv, "--storage", str(self.storage.root), *options],
                stdout=out,
                stderr=out,
                env=self._environment,
                cwd=self._spec.parent,  # where MLflow on SQLite puts its artifacts
            )

    def finish(self, process: subprocess.Popen[bytes], attempt: int = 1) -> SweepReport:
        code = process.wait(timeout=LIMIT_SECONDS)
        report = read_sweep_report(self.dir.attempt(attempt).report)
        assert code == 0, self.said()
        assert report is not None
        return report

    def run(self, *options: str, attempt: int = 1) -> SweepReport:
        return self.finish(self.start(*options), attempt)

    def said(self) -> str:
        return self._out.read_text()

    def id(self, number: int) -> str:
        return f"s-{number:04d}"

    def trials(self) -> list[str]:
        """The run directories there are."""
        return sorted(path.name for path in (self.storage.root / "runs").iterdir())

    def report(self, number: int, attempt: int = 1) -> AttemptReport | None:
        return read_report(self.storage.attempt(self.id(number), attempt).report)

    def ended(self) -> dict[str, int]:
        """The reports there are, with the time of their writing."""
        found = (self.storage.root / "runs").glob("*/*/report.json")
        return {str(path.relative_to(self.storage.root)): path.stat().st_mtime_ns for path in found}

    def iteration(self, number: int, attempt: int = 1) -> int:
        records = read_records(self.storage.attempt(self.id(number), attempt).metrics)
        return max((record["iteration"] for record in records), default=0)

    def table(self) -> Table:
        return Table.model_validate_json(self.dir.table.read_text())

    def messages(self, number: int, attempt: int) -> list[str]:
        records = read_records(self.storage.attempt(self.id(number), attempt).metrics)
        return [record["message"] for record in records if record["kind"] == "event"]


def document(*, iterations: int = 4, base: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    schedule = {"iterations": iterations, "batch_size": 4, "learning_rate": 0.1}
    return {"name": "test", "base": tiny_document(schedule=schedule, **(base or {})), **fields}


def same_weights(one: Path, other: Path) -> bool:
    import torch

    left, right = (torch.load(path, weights_only=True)["state_dict"] for path in (one, other))
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)
