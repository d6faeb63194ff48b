"""A sweep's own run, sent to MLflow again from its directories; what is noted of it in storage."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import get_args

import pytest

from sweeps.document.spec import parse_sweep
from sweeps.driver.mlflow_parent import ParentRun
from sweeps.driver.tracked_again import send_sweep_again
from sweeps.track import main
from tests.unit.service.sweep_job import SweepJob, sweep_document
from tests.unit.sweeps.driver.test_report_page import Kept
from trainer.base.ends import RunStatus
from trainer.base.errors import ReportError
from trainer.storage.layout import Storage
from trainer.storage.notices import read_notices
from trainer.storage.tracking import Trouble, read_record
from trainer.tracking.trouble import TrackerError


class Closing(Kept):
    """A tracker that remembers its status, too."""

    status: RunStatus | None = None

    def close(self, status: RunStatus) -> None:
        assert status in get_args(RunStatus)
        self.status = status


@pytest.fixture
def job(tmp_path: Path) -> SweepJob:
    """A sweep that has ended."""
    storage, spec = Storage.at(tmp_path), parse_sweep(sweep_document())
    made = SweepJob(storage, "swp-1", spec)
    storage.sweep("swp-1").spec.write(spec.model_dump_json())
    for number in range(4):
        made.complete(number, tp=50 + number)
    made.end()
    return made


def test_table_and_report_are_sent_and_its_status(job: SweepJob) -> None:
    """What its job sends at its end; a failure is noted with its reason, and that it was mended."""
    trackers: list[Closing] = []

    def refused(uri: str) -> Closing:
        raise TrackerError("no answer", Trouble.UNREACHABLE)

    def connect(uri: str) -> Closing:
        trackers.append(Closing(uri))
        return trackers[-1]

    directory = job.storage.sweep(job.sweep)
    parent = ParentRun(job.spec, job.sweep, job.storage, "http://mlflow", connect=refused)
    trouble = send_sweep_again(
        job.spec, job.sweep, job.storage, lambda: parent, status="FINISHED", by="track 1"
    )
    assert trouble is not None
    record = read_record(directory.tracked.record)
    assert record is not None
    assert (record.behind, record.by, record.trouble) == (True, "track 1", Trouble.UNREACHABLE)
    again = ParentRun(job.spec, job.sweep, job.storage, "http://mlflow", connect=connect)
    trouble = send_sweep_again(job.spec, job.sweep, job.storage, lambda: again, status="KILLED", by="track 2")
    assert (trouble, trackers[-1].status) == (None, "KILLED")
    assert {"comparison.json", "table.json", "table.csv", "report.html"} <= set(trackers[-1].files)
    record = read_record(directory.tracked.record)
    assert record is not None
    assert (record.behind, record.by) == (False, "track 2")
    assert read_notices(directory.attempt(1))[-1].text.startswith("tracking caught up")


@pytest.mark.parametrize(("state", "status"), [("failed", "FAILED"), ("cancelled", "KILLED"), (None, None)])
def test_by_hand_the_run_ends_as_the_sweep_did(
    job: SweepJob, state: str | None, status: RunStatus | None
) -> None:
    """As its newest report says; without one the run stays open, for the sweep may go on."""
    if state is None:
        job.storage.sweep(job.sweep).attempt(1).report.delete()
    else:
        job.end(state)
    tracker = Closing("")
    parent = ParentRun(job.spec, job.sweep, job.storage, "http://mlflow", connect=lambda uri: tracker)
    trouble = send_sweep_again(
        job.spec, job.sweep, job.storage, lambda: parent, status=None, by="track by hand"
    )
    assert (trouble, tracker.status) == (None, status)


@pytest.mark.parametrize("content", [b"{}", b"\xff{"])
def test_a_damaged_trial_is_named(job: SweepJob, content: bytes) -> None:
    """With its file, and no traceback; its run in MLflow is not opened, and stays as it ended."""
    job.storage.sweep(job.sweep).trial(2).write(content)
    opened: list[ParentRun] = []

    def parent() -> ParentRun:
        opened.append(ParentRun(job.spec, job.sweep, job.storage, "http://mlflow", connect=Closing))
        return opened[-1]

    with pytest.raises(ReportError, match=r"0002\.json"):
        send_sweep_again(job.spec, job.sweep, job.storage, parent, status=None, by="track 1")
    assert opened == []


def test_as_much_time_as_it_is_given(job: SweepJob) -> None:
    """Ten thousand gains take MLflow minutes, and here no training waits for them."""
    hangs = threading.Event()

    class Slow(Closing):
        def log_file(self, path: Path, folder: str = "") -> None:
            hangs.wait(60)

    def parent(seconds: float) -> ParentRun:
        return ParentRun(job.spec, job.sweep, job.storage, "http://mlflow", connect=Slow, seconds=seconds)

    def trouble(seconds: float) -> TrackerError | None:
        return send_sweep_again(
            job.spec, job.sweep, job.storage, lambda: parent(seconds), status="FINISHED", by="track 1"
        )

    too_short = trouble(0.5)
    hangs.set()
    assert too_short is not None
    assert too_short.kind is Trouble.SLOW
    assert trouble(60) is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--sweep", "s"], "--mlflow-uri: is missing"),
        (["--sweep", "../s", "--mlflow-uri", "http://host"], "refused"),
    ],
)
def test_a_wrong_command_line(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--storage", str(tmp_path)])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_a_sweep_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and the directory where it would be."""
    assert main(["--sweep", "s", "--storage", str(tmp_path), "--mlflow-uri", "http://host"]) == 2
    assert str(tmp_path / "sweeps" / "s") in capsys.readouterr().err
