"""What follows for a sweep's trial from what was seen of it: pure, no clock, no database."""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

from service.reconcile.decide import headline_of, when_started
from service.shared.states import State
from service.store.records import Experiment, Move, Outcome
from sweeps.results.trial_progress import TrialProgress
from trainer.base.ends import End
from trainer.results.report import AttemptError

_LONGEST_MESSAGE = 20_000


class Phase(Enum):
    """Where the trial's sweep stands."""

    ALIVE = auto()  # it has a job
    AGAIN = auto()  # its job is lost; another will go on
    OVER = auto()  # nothing of it will run any more


def move_of(
    row: Experiment,
    progress: TrialProgress,
    phase: Phase,
    *,
    tried_again: bool = False,
    run_id: str | None = None,
    behind: bool = False,
) -> Move | None:
    """The trial's way to where its run directory says it is, None where it is there already.

    Args:
        tried_again: the attempt failed, and the sweep's job begins another.
        run_id: of its MLflow run, if it has one.
        behind: something of it is missing in MLflow.
    """
    stale = (
        0 < progress.attempt < row.attempt and progress.end is not End.COMPLETED
    )  # of the sweep's job before
    final = None if stale and phase is not Phase.OVER else _end(row, progress, phase, tried_again)
    if final is not None:
        to, reason = final
        attempt = max(1, progress.attempt) if progress.end is not None else row.attempt
    elif phase is Phase.AGAIN:
        to, reason, attempt = (
            State.QUEUED,
            "its sweep is started again",
            max(row.attempt, progress.attempt + 1),
        )
    elif stale:
        return None
    else:
        to = State.RUNNING if progress.running else State.SUBMITTED
        reason, attempt = "seen running", max(1, progress.attempt)
    steps = _way(row, to, reason, attempt)
    return Move(row, attempt, steps, _outcome(row, progress, to, run_id, behind=behind)) if steps else None


def _end(
    row: Experiment, progress: TrialProgress, phase: Phase, tried_again: bool
) -> tuple[State, str] | None:
    """The state that ends the trial, and why; None while it may go on."""
    over = phase is Phase.OVER
    if progress.end is End.COMPLETED:
        return State.COMPLETED, "report with a result"
    if progress.end is End.STOPPED:
        return State.CANCELLED, "stopped early by its sweep's scheduler"
    if progress.end is End.FAILED and (over or not tried_again):
        return State.FAILED, "report with an error"
    if progress.end is End.CANCELLED:
        return State.CANCELLED, "cancelled on request"
    if over:
        begun = row.state is not State.QUEUED or progress.attempt > 0
        return (
            State.CANCELLED,
            "its sweep ended while it ran" if begun else "its sweep ended before it started",
        )
    return None


def _way(row: Experiment, to: State, reason: str, attempt: int) -> tuple[tuple[State, str], ...]:
    """The steps from the row's state to `to`, as TRANSITIONS allows them."""
    state, steps = row.state, []
    if state.has_job and attempt != row.attempt and not to.ended:
        state = State.QUEUED
        steps.append((state, reason if to is State.QUEUED else f"attempt {attempt} by its sweep"))
    taken_up = to in (State.SUBMITTED, State.RUNNING, State.COMPLETED)
    if state is State.QUEUED and taken_up:
        state = State.SUBMITTED
        steps.append((state, "taken up by its sweep"))
    backwards = state is State.RUNNING and to is State.SUBMITTED
    if to is not state and not backwards:
        steps.append((to, reason))
    return tuple(steps)


def _outcome(
    row: Experiment, progress: TrialProgress, to: State, run_id: str | None, *, behind: bool
) -> Outcome:
    if not to.ended:
        return Outcome(mlflow_run_id=run_id)
    report = progress.report
    stopped = progress.end is End.STOPPED
    error = progress.error if to is State.FAILED or stopped else None
    cut_off = progress.end is None and run_id is not None  # nobody has ended its MLflow run
    return Outcome(
        error_type=error.type if error else None,
        error_message=_message(error),
        headline=headline_of(report) if report is not None else None,
        progress=_progress(progress),
        mlflow_run_id=(report.mlflow_run_id if report else None) or run_id,
        mlflow_status_due=End(to).mlflow_status if cut_off or behind else None,
        stopped=stopped or None,
        started_at=when_started(report) if row.started_at is None else None,
    )


def _message(error: AttemptError | None) -> str | None:
    return error.message[:_LONGEST_MESSAGE] if error else None


def _progress(progress: TrialProgress) -> dict[str, Any] | None:
    if progress.iterations is None:
        return None
    return {"iteration": progress.iteration, "iterations": progress.iterations, "loss": progress.loss}
