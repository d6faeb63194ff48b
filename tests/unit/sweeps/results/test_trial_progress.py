"""How a trial stands, told from its run directory alone; and the sweep's report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sweeps.document.spec import parse_sweep
from sweeps.results.report import BestTrial, EndCounts, SweepReport, read_sweep_report, write_sweep_report
from sweeps.results.trial_progress import TrialProgress, trial_progress
from tests.data_factories import make_report, make_spec
from trainer.base.ends import End
from trainer.base.errors import Cancelled, ReportError, StoppedEarly
from trainer.results.report import AttemptError, AttemptReport, write_report
from trainer.storage.directories import trial_id
from trainer.storage.layout import Storage
from trainer.storage.posix import PosixFile

TRIAL = trial_id("swp-1", 7)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path)


def leave(storage: Storage, attempt: int, **changes: object) -> AttemptReport:
    """A report of the trial, changed as asked."""
    report = make_report(TRIAL).model_copy(update={"attempt": attempt, **changes})
    write_report(report, storage.attempt(TRIAL, attempt).report)
    return report


def begin(storage: Storage, attempt: int, lines: str = "") -> None:
    """An attempt with its spec and what its loop has logged."""
    here = storage.attempt(TRIAL, attempt)
    here.path.mkdir(parents=True)
    here.spec.write(json.dumps({"schedule": {"iterations": 50}}))
    here.metrics.write(lines)


def test_ids_sort_in_the_order_of_trials() -> None:
    """Four digits hold the most trials a sweep may have, so that a listing is in their order."""
    assert TRIAL == "swp-1-0007"
    assert trial_id("swp-1", 9_999) == "swp-1-9999"


def test_a_trial_nobody_began_waits(storage: Storage) -> None:
    """No directory, an empty one, and one that has a spec alone are all waiting."""
    assert trial_progress(storage, TRIAL) == TrialProgress()
    storage.checkpoints(TRIAL).make()
    assert trial_progress(storage, TRIAL).attempt == 0
    storage.attempt(TRIAL, 1).path.mkdir()
    found = trial_progress(storage, TRIAL)
    assert (found.attempt, found.end, found.running, found.iterations) == (1, None, False, None)


def test_a_begun_trial_runs(storage: Storage) -> None:
    """Its newest whole training line says how far it is; one cut short is not read."""
    begin(storage, 1, '{"kind": "train", "iteration": 20, "loss": 0.5}\n{"kind": "eval", "iter')
    found = trial_progress(storage, TRIAL)
    assert (found.running, found.iteration, found.iterations, found.loss) == (True, 20, 50, 0.5)
    assert found.end is None


def test_the_newest_attempt_decides(storage: Storage) -> None:
    """A report of an earlier attempt says nothing once there is another; attempts are numbers, not names."""
    leave(storage, 9, state="failed", result=None, error=AttemptError(type="WorkerLost", message="x"))
    assert trial_progress(storage, TRIAL).end is End.FAILED
    begin(storage, 10)
    found = trial_progress(storage, TRIAL)
    assert (found.attempt, found.end, found.running) == (10, None, True)
    leave(storage, 11)
    assert trial_progress(storage, TRIAL).end is End.COMPLETED


def test_a_completed_trial_has_its_scores(storage: Storage) -> None:
    """Those of the first evaluation mode, and the report they are from."""
    report = leave(storage, 1)
    found = trial_progress(storage, TRIAL)
    assert report.result is not None
    assert found.scores == next(iter(report.result.evaluation.values()))
    assert found.report == report
    assert found.end is End.COMPLETED


@pytest.mark.parametrize(("kind", "end"), [(StoppedEarly, End.STOPPED), (Cancelled, End.CANCELLED)])
def test_stopped_early_is_not_cancelled(storage: Storage, kind: type, end: End) -> None:
    """A trial that the scheduler gave up is told from one that a person cancelled."""
    error = AttemptError(type=kind.__name__, message="why")
    leave(storage, 1, state="cancelled", result=None, error=error)
    found = trial_progress(storage, TRIAL)
    assert (found.end, found.error, found.running) == (end, error, False)


def test_an_unreadable_report_is_a_failure(storage: Storage) -> None:
    """It is there, so nothing runs any more; what is wrong with it is the trial's error."""
    begin(storage, 1)
    storage.attempt(TRIAL, 1).report.write("{}")
    found = trial_progress(storage, TRIAL)
    assert found.end is End.FAILED
    assert found.error is not None
    assert found.error.type == "ReportError"


def test_sweep_report_round_trip(tmp_path: Path) -> None:
    """A sweep's report read back equals the one written; none is None; half a one is an error."""
    path = PosixFile(tmp_path / "report.json")
    assert read_sweep_report(path) is None
    report = SweepReport(
        sweep="swp-1",
        attempt=2,
        state="completed",
        spec=parse_sweep({"base": make_spec().model_dump(mode="json"), "seeds": [0, 1]}),
        trials=EndCounts(completed=1, failed=1),
        best=BestTrial(experiment="swp-1-0000", row="baseline", value=43.95),
        started_at="2026-01-02T03:04:05+00:00",
        ended_at="2026-01-02T03:04:09+00:00",
    )
    write_sweep_report(report, path)
    assert read_sweep_report(path) == report
    path.write(path.read_text()[:-20])
    with pytest.raises(ReportError):
        read_sweep_report(path)
