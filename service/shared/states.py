"""The states of an experiment, which are a sweep's as well, and the only steps between them."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where an experiment stands. What holds for a state is asked here, not by comparing names elsewhere."""

    QUEUED = "queued"
    SUBMITTED = "submitted"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """True where nothing follows."""
        return not TRANSITIONS[self]

    @property
    def has_job(self) -> bool:
        """True while a job of the cluster belongs to the experiment; `max_running` counts these."""
        return self in (State.SUBMITTED, State.RUNNING)

    @property
    def can_be_retried(self) -> bool:
        """True where somebody may ask for another attempt: the one way out of an end, and by request only."""
        return self in (State.FAILED, State.CANCELLED)

    @property
    def sources(self) -> tuple[State, ...]:
        """The states this one may follow."""
        return tuple(state for state, targets in TRANSITIONS.items() if self in targets)


TRANSITIONS: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.SUBMITTED, State.FAILED, State.CANCELLED}),
    State.SUBMITTED: frozenset({State.RUNNING, State.COMPLETED, State.FAILED, State.QUEUED, State.CANCELLED}),
    State.RUNNING: frozenset({State.COMPLETED, State.FAILED, State.QUEUED, State.CANCELLED}),
    State.COMPLETED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}
