"""How a trial stands, from its run directory alone: the same answer for the sweep's job and the service."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass

from trainer.base.ends import End
from trainer.base.errors import NodeLost, ReportError
from trainer.results.report import AttemptError, AttemptReport, Scores, read_report
from trainer.storage.directories import AttemptDir
from trainer.storage.layout import Storage
from trainer.storage.sink import last_record

_MOST_NODES = 30


@dataclass(frozen=True)
class TrialProgress:
    """The newest attempt. `running` means that it was begun and left no report, not that it is alive."""

    attempt: int = 0  # 0 before the first
    end: End | None = None  # where there is one, nothing follows unless somebody asks for another attempt
    running: bool = False
    iteration: int = 0
    iterations: int | None = None  # None before the trial's spec is there
    loss: float | None = None  # of the last logged iteration
    scores: Scores | None = None  # of the first evaluation mode, where it completed
    error: AttemptError | None = None
    report: AttemptReport | None = None


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
        return TrialProgress(attempt, End.FAILED, error=AttemptError(type="ReportError", message=str(error)))
    return _unfinished(here, attempt) if report is None else _ended(report, here, attempt)


def attempt_reports(storage: Storage, experiment: str) -> list[AttemptReport]:
    """The reports of all attempts at a trial, oldest first; those that cannot be read are left out."""
    found = []
    for attempt in range(1, storage.newest_attempt(experiment) + 1):
        with suppress(ReportError):
            report = read_report(storage.attempt(experiment, attempt).report)
            if report is not None:
                found.append(report)
    return found


def lost_attempts(storage: Storage, experiment: str, newest: AttemptReport | None = None) -> int:
    """How many attempts of a trial count as having lost their worker; `newest` has no file yet.

    Those that lost their node do not, but for very many: a trial may take its nodes down.
    """
    reports = [newest, *attempt_reports(storage, experiment)]
    lost = [one.error.type for one in reports if one and one.error and one.error.retryable]
    nodes = lost.count(NodeLost.__name__)
    return len(lost) - nodes + max(0, nodes - _MOST_NODES)


def _unfinished(here: AttemptDir, attempt: int) -> TrialProgress:
    loss = (last_record(here.metrics, "train") or {}).get("loss")
    return TrialProgress(
        attempt,
        running=here.metrics.exists() or here.plan.exists(),
        iteration=_reached(here),
        iterations=_iterations(here),
        loss=float(loss) if isinstance(loss, (int, float)) else None,
    )


def _ended(report: AttemptReport, here: AttemptDir, attempt: int) -> TrialProgress:
    return TrialProgress(
        attempt,
        report.end,
        iteration=report.result.iterations if report.result else _reached(here),
        iterations=report.spec.schedule.iterations,
        scores=report.result.scores if report.result else None,
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
