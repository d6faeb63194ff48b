"""What a run directory tells of a trial: each evaluation once, and its end."""

from __future__ import annotations

import json
from pathlib import Path

from sweeps.search.evaluations import Evaluation, EvaluationReader
from tests.data_factories import make_report
from trainer.results.report import AttemptError, write_report
from trainer.storage.layout import Storage

BAD = AttemptError(type="DataError", message="m")


def evaluations(storage: Storage, attempt: int, *iterations: int) -> None:
    path = storage.attempt("t", attempt).metrics.local
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({"kind": "eval", "iteration": each, "mIoU": float(each), "time": 1.0})
        for each in iterations
    ]
    with path.open("a") as stream:
        stream.write("".join(f"{line}\n" for line in lines))


def test_a_trial_is_followed_over_its_attempts(tmp_path: Path) -> None:
    """Each evaluation comes once, whichever attempt made it; the last comes with the report, as the end."""
    storage = Storage.at(tmp_path)
    reader = EvaluationReader(storage, "t", metric="mIoU", last=8)
    assert reader.poll() is None
    evaluations(storage, 1, 2, 4)
    assert [reader.poll(), reader.poll(), reader.poll()] == [Evaluation(2, 2.0), Evaluation(4, 4.0), None]
    evaluations(storage, 2, 4, 6, 8)
    assert [reader.poll(), reader.poll()] == [Evaluation(6, 6.0), None]
    report = make_report()
    write_report(report, storage.attempt("t", 2).report)
    assert report.result is not None
    end = reader.poll()
    assert end == Evaluation(
        report.result.iterations, report.result.evaluation["single_scale"].mIoU, ended=True
    )


def test_a_stopped_trial_is_told_again_without_running(tmp_path: Path) -> None:
    """After a restart its evaluations and its end come from the files: a scheduler has its rungs again."""
    storage = Storage.at(tmp_path)
    evaluations(storage, 1, 2, 4)
    ended = make_report().model_copy(
        update={
            "state": "cancelled",
            "result": None,
            "error": AttemptError(type="StoppedEarly", message="stopped by asha"),
        }
    )
    write_report(ended, storage.attempt("t", 1).report)
    reader = EvaluationReader(storage, "t", metric="mIoU", last=8)
    told = [reader.poll() for _ in range(3)]
    assert told == [Evaluation(2, 2.0), Evaluation(4, 4.0), Evaluation(4, 4.0, ended=True)]
    reader.go_on()
    assert not storage.attempt("t", 1).permit.exists(), "nothing is asked of what has ended"


def test_a_failed_trial_has_no_score(tmp_path: Path) -> None:
    """Not even that of an earlier evaluation: a search would take it for how the setting does."""
    storage = Storage.at(tmp_path)
    evaluations(storage, 1, 2, 4)
    failed = make_report().model_copy(update={"state": "failed", "result": None, "error": BAD})
    write_report(failed, storage.attempt("t", 1).report)
    reader = EvaluationReader(storage, "t", metric="mIoU", last=8)
    assert [reader.poll() for _ in range(3)][-1] == Evaluation(4, None, ended=True)
