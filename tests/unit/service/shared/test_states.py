"""The transition table."""

from __future__ import annotations

import pytest

from service.shared.states import ENDED, LIVE, TRANSITIONS, WITH_JOB, State
from trainer.base.ends import End


def test_every_state_has_its_row() -> None:
    """The table names every state, once."""
    assert set(TRANSITIONS) == set(State)


def test_three_states_end_an_experiment() -> None:
    """Nothing follows completed, failed and cancelled, and something follows every other state."""
    assert {state for state in State if state.ended} == {State.COMPLETED, State.FAILED, State.CANCELLED}
    assert {state.end for state in ENDED} == {end.reported for end in End}
    assert {state.end for state in LIVE} == {None}
    assert {*LIVE, *ENDED} == set(State) > set(WITH_JOB) == {State.SUBMITTED, State.RUNNING}


@pytest.mark.parametrize("state", list(State))
def test_sources_are_the_table_read_backwards(state: State) -> None:
    """`sources` and the table say the same."""
    assert set(state.sources) == {other for other in State if state in TRANSITIONS[other]}


@pytest.mark.parametrize("state", [state for state in LIVE if state is not State.PAUSED])
def test_every_state_that_goes_on_can_be_cancelled_paused_and_can_fail(state: State) -> None:
    """No experiment can get stuck."""
    assert {State.CANCELLED, State.PAUSED, State.FAILED} <= TRANSITIONS[state]


def test_nothing_happens_to_a_paused_one_unasked() -> None:
    """It is taken up again or cancelled."""
    assert TRANSITIONS[State.PAUSED] == {State.QUEUED, State.CANCELLED}
    assert not State.PAUSED.has_job


def test_every_state_is_reached_from_the_first() -> None:
    """All states lie on a way from queued."""
    reached, waiting = {State.QUEUED}, [State.QUEUED]
    while waiting:
        fresh = TRANSITIONS[waiting.pop()] - reached
        reached |= fresh
        waiting += fresh
    assert reached == set(State)


def test_jobs_belong_to_submitted_and_running() -> None:
    """Exactly these two count against max_running."""
    assert {state for state in State if state.has_job} == {State.SUBMITTED, State.RUNNING}
