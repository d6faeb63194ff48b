"""How a trial stands, from its run directory alone: the same answer for the sweep's job and the service."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from trainer.base.errors import NodeLost, ReportError, StoppedEarly
from trainer.results.report import RunError, RunReport, Scores, read_report
from trainer.storage.layout import AttemptDir, Storage
from trainer.storage.sink import last_record

TrialState = Literal["waiting", "running", "completed", "failed", "cancelled", "stopped"]
_MOST_NODES = 30
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
    return _unfinished(here, attempt) if report is None else _ended(report, here, attempt)


def attempt_reports(storage: Storage, experiment: str) -> list[RunReport]:
    """The reports of all attempts at a trial, oldest first; those that cannot be read are left out."""
    found = []
    for attempt in range(1, storage.newest_attempt(experiment) + 1):
        with suppress(ReportError):
            report = read_report(storage.attempt(experiment, attempt).report)
            if report is not None:
                found.append(report)
    return found


def lost_attempts(storage: Storage, experiment: str, newest: RunReport | None = None) -> int:
    """How many attempts of a trial count as having lost their worker; `newest` has no file yet.

    Those that lost their node do not, but for very many: a trial may take its nodes down.
    """
    reports = [newest, *attempt_reports(storage, experiment)]
    lost = [one.error.type for one in reports if one and one.error and one.error.retryable]
    nodes = lost.count(NodeLost.__name__)
    return len(lost) - nodes + max(0, nodes - _MOST_NODES)


def is_stopped_early(report: RunReport) -> bool:
    """Whether the scheduler gave the trial up; its report says `cancelled` otherwise too."""
    return report.error is not None and report.error.type == StoppedEarly.__name__


def _unfinished(here: AttemptDir, attempt: int) -> TrialProgress:
    begun = here.metrics.exists() or here.plan.exists()
    loss = (last_record(here.metrics, "train") or {}).get("loss")
    return TrialProgress(
        attempt,
        "running" if begun else "waiting",
        iteration=_reached(here),
        iterations=_iterations(here),
        loss=float(loss) if isinstance(loss, (int, float)) else None,
    )


def _ended(report: RunReport, here: AttemptDir, attempt: int) -> TrialProgress:
    evaluation = report.result.evaluation if report.result else {}
    return TrialProgress(
        attempt,
        "stopped" if is_stopped_early(report) else report.state,
        iteration=report.result.iterations if report.result else _reached(here),
        iterations=report.spec.schedule.iterations,
        scores=next(iter(evaluation.values()), None),
        error=report.error,
        report=report,
    )


def _reached(here: AttemptDir) -> int:
    """The last iteration that was logged."""
    iteration = (last_record(here.metrics, "train") or {}).get("iteration")
    return iteration if isinstance(iteration, int) else 0


def _iterations(here: AttemptDir) -> int | None:
    try:
        found = json.loads(here.spec.read_text())["schedule"]["iterations"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, int) else None
