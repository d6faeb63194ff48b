"""What follows from what storage and the clock say: pure functions, a table of cases each."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sweeps.document.spec import Limits
from sweeps.results.trial_progress import TrialProgress
from trainer.base.ends import End
from trainer.results.report import AttemptError, AttemptReport

MOST_LOSSES = 3  # attempts of one trial that lost their worker, though not their node


def worth_another_try(error: AttemptError, losses: int) -> bool:
    """Whether a trial that ended in `error`, having lost its worker `losses` times in all, is run again."""
    return error.retryable and losses < MOST_LOSSES


def shall_run(progress: TrialProgress, losses: int, *, detached: bool) -> bool:
    """Whether a new driver begins an attempt at a trial that it finds like this."""
    if detached or progress.end in (End.COMPLETED, End.STOPPED, End.CANCELLED):
        return False
    if progress.end is End.FAILED:
        return progress.error is not None and worth_another_try(progress.error, losses)
    return True


def limit_reached(limits: Limits, *, seconds: float, gpu_hours: float) -> str | None:
    """Why no further trial is started, None while there is no reason."""
    if limits.seconds is not None and seconds >= limits.seconds:
        return f"{limits.seconds:g} seconds have passed"
    if limits.gpu_hours is not None and gpu_hours >= limits.gpu_hours:
        return f"{limits.gpu_hours:g} GPU hours are used up"
    return None


def gpu_hours(reports: Iterable[AttemptReport]) -> float:
    """GPU hours that the attempts held, from their first to their last second."""
    return sum(_seconds(one) * _gpus(one) for one in reports if _gpus(one)) / 3600


def _gpus(report: AttemptReport) -> float:
    return report.spec.resources.workers * report.spec.resources.gpus_per_worker


def _seconds(report: AttemptReport) -> float:
    begin, end = (datetime.fromisoformat(text) for text in (report.started_at, report.ended_at))
    return (end - begin).total_seconds()
