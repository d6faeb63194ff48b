"""How a trial stands, from its run directory alone: the same answer for the sweep's job and the service."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from trainer.errors import ReportError, StoppedEarly
from trainer.layout import AttemptDir, Storage
from trainer.report import RunError, RunReport, Scores, read_report
from trainer.sink import last_record

TrialState = Literal["waiting", "running", "completed", "failed", "cancelled", "stopped"]
TRIAL_STATES: tuple[TrialState, ...] = ("waiting", "running", "completed", "failed", "cancelled", "stopped")


@dataclass(frozen=True)
class TrialProgress:
    """The newest attempt. `running` means that it was begun and left no report, not that it is alive."""

    attempt: int = 0  # 0 before the first
    state: TrialState = "waiting"
    iteration: int = 0
    iterations: int | None = None  # None before the trial's spec is there
    loss: float | None = None  # of the last logged iteration
    scores: Scores | None = None  # of the first evaluation mode, where it completed
    error: RunError | None = None
    report: RunReport | None = None

    @property
    def ended(self) -> bool:
        """True where nothing follows unless somebody asks for another attempt."""
        return self.state not in ("waiting", "running")


def trial_progress(storage: Storage, experiment: str) -> TrialProgress:
    """How the newest attempt of a trial stands; a report that cannot be read counts as a failure.

    Raises:
        OSError: storage does not answer.
    """
    attempt = storage.newest_attempt(experiment)
    if attempt == 0:
        return TrialProgress()
    here = storage.attempt(experiment, attempt)
    try:
        report = read_report(here.report)
    except ReportError as error:
        return TrialProgress(attempt, "failed", error=RunError(type="ReportError", message=str(error)))
    return _unfinished(here, attempt) if report is None else _ended(report, attempt)


def lost_attempts(storage: Storage, experiment: str) -> int:
    """How many attempts of a trial have lost their worker."""
    errors: list[RunError | None] = []
    for attempt in range(1, storage.newest_attempt(experiment) + 1):
        report = read_report(storage.attempt(experiment, attempt).report)
        errors.append(report.error if report else None)
    return sum(error is not None and error.retryable for error in errors)


def is_stopped_early(report: RunReport) -> bool:
    """Whether the scheduler gave the trial up; its report says `cancelled` otherwise too."""
    return report.error is not None and report.error.type == StoppedEarly.__name__


def _unfinished(here: AttemptDir, attempt: int) -> TrialProgress:
    begun = here.metrics.exists() or here.plan.exists()
    line = last_record(here.metrics, "train") or {}
    iteration, loss = line.get("iteration"), line.get("loss")
    return TrialProgress(
        attempt,
        "running" if begun else "waiting",
        iteration=iteration if isinstance(iteration, int) else 0,
        iterations=_iterations(here),
        loss=float(loss) if isinstance(loss, (int, float)) else None,
    )


def _ended(report: RunReport, attempt: int) -> TrialProgress:
    evaluation = report.result.evaluation if report.result else {}
    return TrialProgress(
        attempt,
        "stopped" if is_stopped_early(report) else report.state,
        iteration=report.result.iterations if report.result else 0,
        iterations=report.spec.schedule.iterations,
        scores=next(iter(evaluation.values()), None),
        error=report.error,
        report=report,
    )


def _iterations(here: AttemptDir) -> int | None:
    try:
        found = json.loads(here.spec.read_text(encoding="utf-8"))["schedule"]["iterations"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, int) else None
