"""The states of an experiment, which are a sweep's as well, and the only steps between them."""

from __future__ import annotations

from enum import StrEnum

from trainer.base.ends import End


class State(StrEnum):
    """Where an experiment stands. What holds for a state is asked here, not by comparing names elsewhere."""

    QUEUED = "queued"
    SUBMITTED = "submitted"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = End.COMPLETED.value
    FAILED = End.FAILED.value
    CANCELLED = End.CANCELLED.value

    @property
    def ended(self) -> bool:
        """True where nothing follows."""
        return not TRANSITIONS[self]

    @property
    def end(self) -> End | None:
        """Which end of the work it is, None while there is none."""
        return End(self) if self.ended else None

    @property
    def has_job(self) -> bool:
        """True while a job of the cluster belongs to the experiment; `max_running` counts these."""
        return self in (State.SUBMITTED, State.RUNNING)

    @property
    def can_be_retried(self) -> bool:
        """True where somebody may ask for another attempt; besides, a sweep that completed is extended."""
        return self in (State.FAILED, State.CANCELLED)

    @property
    def sources(self) -> tuple[State, ...]:
        """The states this one may follow."""
        return tuple(state for state, targets in TRANSITIONS.items() if self in targets)


TRANSITIONS: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.SUBMITTED, State.PAUSED, State.FAILED, State.CANCELLED}),
    State.SUBMITTED: frozenset(
        {State.RUNNING, State.PAUSED, State.COMPLETED, State.FAILED, State.QUEUED, State.CANCELLED}
    ),
    State.RUNNING: frozenset({State.PAUSED, State.COMPLETED, State.FAILED, State.QUEUED, State.CANCELLED}),
    State.PAUSED: frozenset({State.QUEUED, State.CANCELLED}),  # both only where somebody asks for it
    State.COMPLETED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}

LIVE = tuple(state for state in State if not state.ended)
ENDED = tuple(state for state in State if state.ended)
WITH_JOB = tuple(state for state in State if state.has_job)
