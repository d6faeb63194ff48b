"""A sweep's report as its job leaves it: files in storage, and copies in MLflow's run of the sweep."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sweeps.document.expand import Trial, expand
from sweeps.driver.mlflow_parent import ParentRun
from sweeps.driver.report_page import write_page
from sweeps.results.table_of_sweep import entry_of, sweep_table
from tests.data_factories import make_report, scores_of
from tests.unit.sweeps.driver.stubs import sweep_of
from tests.unit.trainer.figures.studies import BASE, BETTER
from trainer.base.ends import RunStatus
from trainer.results.report import AttemptReport, write_report
from trainer.storage.directories import trial_id
from trainer.storage.layout import Storage
from trainer.storage.posix import PosixFile
from trainer.tracking.tracker import Opened, RunIds, RunInfo

SWEEP = sweep_of(variants={"base": {"kind": "baseline"}, "rr": {"kind": "region_rebalance"}})


def ended(storage: Storage) -> list[tuple[Trial, AttemptReport]]:
    """Every trial with a result in storage."""
    found = []
    for trial in expand(SWEEP):
        matrix = BASE if trial.row == "base" else BETTER
        report = make_report(trial_id("s", trial.number), scores=scores_of(matrix))
        report = report.model_copy(update={"spec": trial.spec})
        write_report(report, storage.attempt(report.experiment, 1).report)
        found.append((trial, report))
    return found


def written(storage: Storage, trials: Sequence[tuple[Trial, AttemptReport]]) -> bool:
    table = sweep_table(SWEEP, [entry_of(trial.row, trial.spec.seed, report) for trial, report in trials])
    return write_page(SWEEP, "s", storage, table, trials)


def test_page_and_figures(tmp_path: Path) -> None:
    """report.html beside the table, and every figure in three forms."""
    storage = Storage.at(tmp_path)
    assert written(storage, ended(storage))
    directory = storage.sweep("s")
    assert "Sweep s" in directory.page.read_text()
    assert {"figure3.svg", "figure3.png", "figure3.csv"} <= set(directory.figures.names())


def test_a_sweep_without_results_has_none(tmp_path: Path) -> None:
    """And that is no error."""
    storage = Storage.at(tmp_path)
    nothing = {"state": "failed", "result": None}
    failed = [(trial, report.model_copy(update=nothing)) for trial, report in ended(storage)]
    assert not written(storage, failed)
    assert not storage.sweep("s").page.exists()


def test_a_full_disk_costs_the_page_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The sweep goes on to its report, and says why there are no figures."""

    def full(self: PosixFile, content: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    storage = Storage.at(tmp_path)
    trials = ended(storage)
    monkeypatch.setattr(PosixFile, "write", full)
    assert not written(storage, trials)
    assert "the report is not written" in caplog.text


class Kept:
    """A tracker that remembers files."""

    def __init__(self, uri: str) -> None:
        self.files: list[str] = []

    def open(self, info: RunInfo) -> Opened:
        return Opened(RunIds("r", "g"))

    def log_file(self, path: Path, folder: str = "") -> None:
        self.files.append(f"{folder}/{path.name}" if folder else path.name)

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None

    def close(self, status: RunStatus) -> None:
        """Nothing to do."""


def test_mlflow_gets_a_copy(tmp_path: Path) -> None:
    """The page, and the figures in a folder beside it; without an MLflow nothing is asked."""
    storage = Storage.at(tmp_path)
    written(storage, ended(storage))
    made: list[Kept] = []

    def connect(uri: str) -> Kept:
        made.append(Kept(uri))
        return made[-1]

    ParentRun(SWEEP, "s", storage, "http://mlflow", connect=connect).show_page()
    assert "report.html" in made[0].files
    assert {"figures/figure3.svg", "figures/figure3.png", "figures/figure3.csv"} <= set(made[0].files)
    ParentRun(SWEEP, "s", storage, None, connect=connect).show_page()
    assert len(made) == 1
