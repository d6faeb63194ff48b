"""What follows for a trial from its run directory: pure, a table of cases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.reconcile.decide_trial import Phase, move_of
from service.shared.states import TRANSITIONS, State
from service.store.records import Experiment
from sweeps.results.trial_progress import TrialProgress
from tests.data_factories import make_report
from tests.unit.service.conftest import new_row
from trainer.base.ends import End
from trainer.results.report import AttemptError

LOST = AttemptError(type="WorkerLost", message="node", retryable=True)
BAD = AttemptError(type="DataError", message="label 77")
EARLY = AttemptError(type="StoppedEarly", message="rung 1")
ROW = new_row("swp-1-0000", sweep_id="swp-1", trial=0, trial_row="a")
WAITING = TrialProgress(1, iterations=10)
RUNNING = TrialProgress(1, running=True, iteration=4, iterations=10, loss=0.5)
REPORT = make_report("swp-1-0000")
COMPLETED = TrialProgress(1, End.COMPLETED, iteration=10, iterations=10, report=REPORT)
FAILED = TrialProgress(1, End.FAILED, iterations=10, error=BAD)


def row(state: State, attempt: int = 1) -> Experiment:
    return replace(ROW, state=state, attempt=attempt)


ALIVE, AGAIN, OVER = Phase.ALIVE, Phase.AGAIN, Phase.OVER
Q, S, R, C, F, X = (
    State.QUEUED,
    State.SUBMITTED,
    State.RUNNING,
    State.COMPLETED,
    State.FAILED,
    State.CANCELLED,
)
CASES = {
    "begun, no room yet": (row(Q), WAITING, ALIVE, (S,), 1),
    "begun and running": (row(Q), RUNNING, ALIVE, (S, R), 1),
    "there is room": (row(S), RUNNING, ALIVE, (R,), 1),
    "still running": (row(R), RUNNING, ALIVE, None, 1),
    "still waiting": (row(S), WAITING, ALIVE, None, 1),
    "only noted": (row(Q), TrialProgress(), ALIVE, (S,), 1),
    "done between two looks": (row(Q), COMPLETED, ALIVE, (S, C), 1),
    "done": (row(R), COMPLETED, ALIVE, (C,), 1),
    "failed": (row(R), FAILED, ALIVE, (F,), 1),
    "failed at once": (row(Q), FAILED, ALIVE, (F,), 1),
    "stopped early": (row(R), TrialProgress(1, End.STOPPED, error=EARLY), ALIVE, (X,), 1),
    "cancelled": (row(R), TrialProgress(1, End.CANCELLED), ALIVE, (X,), 1),
    "lost its worker, another attempt runs": (row(R), replace(RUNNING, attempt=2), ALIVE, (Q, S, R), 2),
    "lost its worker, another attempt waits": (row(R), replace(WAITING, attempt=2), ALIVE, (Q, S), 2),
    "the sweep's job is lost": (row(R), RUNNING, AGAIN, (Q,), 2),
    "the sweep's job is lost, the trial was done": (row(R), COMPLETED, AGAIN, (C,), 1),
    "the next job has not come to it": (row(Q, 2), RUNNING, ALIVE, None, 2),
    "the next job resumes it": (row(Q, 2), replace(RUNNING, attempt=2), ALIVE, (S, R), 2),
    "it was done before the next job came": (row(Q, 2), COMPLETED, ALIVE, (S, C), 1),
    "the sweep ended, it never ran": (row(Q), TrialProgress(), OVER, (X,), 1),
    "the sweep ended, it ran": (row(R), RUNNING, OVER, (X,), 1),
    "the sweep ended, it was resumed and not reached": (row(Q, 2), RUNNING, OVER, (X,), 2),
    "the sweep ended, it was done": (row(R), COMPLETED, OVER, (C,), 1),
    "the sweep ended, its last attempt failed": (row(R), FAILED, OVER, (F,), 1),
    "the sweep ended after a loss": (row(R), replace(FAILED, error=LOST), OVER, (F,), 1),
}


@pytest.mark.parametrize("case", sorted(CASES))
def test_moves(case: str) -> None:
    """The steps, each allowed by TRANSITIONS, and the attempt it is then in."""
    start, progress, phase, steps, attempt = CASES[case]
    move = move_of(start, progress, phase)
    if steps is None:
        assert move is None
        return
    assert move is not None
    assert tuple(state for state, _ in move.steps) == steps
    assert move.attempt == attempt
    assert all(reason for _, reason in move.steps)
    for here, there in zip((start.state, *steps), steps, strict=False):
        assert there in TRANSITIONS[here]


@pytest.mark.parametrize("state", [State.SUBMITTED, State.RUNNING])
def test_a_loss_that_the_sweep_tries_again_ends_nothing(state: State) -> None:
    """The report of a lost attempt is not the trial's end while the sweep begins another."""
    lost = TrialProgress(1, End.FAILED, error=LOST)
    assert move_of(row(state), lost, Phase.ALIVE, tried_again=True) is None
    assert move_of(row(state), lost, Phase.ALIVE) is not None


def test_every_phase_over_ends_every_trial() -> None:
    """Whatever was seen, nothing is left in a live state."""
    for state in (State.QUEUED, State.SUBMITTED, State.RUNNING):
        for progress in (
            TrialProgress(),
            WAITING,
            RUNNING,
            COMPLETED,
            FAILED,
            TrialProgress(1, End.CANCELLED),
        ):
            move = move_of(row(state), progress, Phase.OVER, tried_again=True)
            assert move is not None
            assert move.steps[-1][0].ended


def test_the_end_carries_the_scores_and_the_error() -> None:
    """What lists show of a trial is what they show of any experiment."""
    done = move_of(row(State.RUNNING), COMPLETED, Phase.ALIVE)
    assert done is not None
    assert done.outcome.headline is not None
    assert done.outcome.started_at is not None
    early = move_of(row(State.RUNNING), TrialProgress(1, End.STOPPED, error=EARLY), Phase.ALIVE)
    assert early is not None
    assert (early.outcome.error_type, early.outcome.error_message) == ("StoppedEarly", "rung 1")
    assert early.outcome.stopped
    asked = TrialProgress(1, End.CANCELLED, error=AttemptError(type="Cancelled", message="x"))
    cancelled = move_of(row(State.RUNNING), asked, Phase.ALIVE)
    assert cancelled is not None
    assert (cancelled.outcome.error_type, cancelled.outcome.stopped) == (None, None)


def test_only_a_trial_cut_off_leaves_its_mlflow_run_open() -> None:
    """One with a report has ended its run itself."""
    cut = move_of(row(State.RUNNING), RUNNING, Phase.OVER, run_id="m1")
    done = move_of(row(State.RUNNING), COMPLETED, Phase.OVER, run_id="m1")
    assert cut is not None
    assert done is not None
    assert (cut.outcome.mlflow_status_due, done.outcome.mlflow_status_due) == ("KILLED", None)
