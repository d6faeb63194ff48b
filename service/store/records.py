"""What the store gives and takes: plain values, and the errors of asking."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Self

from service.shared.queue.demands import Demand
from service.shared.states import State
from service.store.attempts.values import NOTHING_SAID, AttemptRecord, Tried
from trainer.base.errors import RegionRebalanceError
from trainer.spec.followups import FollowupKind
from trainer.storage.notices import Notice


class Unknown(RegionRebalanceError):
    """Nothing of a kind has this id. `gone`: how one that had it was deleted, empty where none was."""

    word = "row"

    def __init__(self, identifier: str, gone: str = "") -> None:
        super().__init__(identifier)
        self.gone = gone

    def __reduce__(self) -> tuple[type[Unknown], tuple[str, str]]:
        return type(self), (str(self), self.gone)


class UnknownExperiment(Unknown):
    """No experiment has this id."""

    word = "experiment"


class UnknownSweep(Unknown):
    """No sweep has this id."""

    word = "sweep"


class UnknownFollowup(Unknown):
    """No follow-up has this id."""

    word = "follow-up"


class Conflict(RegionRebalanceError):
    """The experiment, sweep or follow-up is no longer in a state from which this step leads on."""


class NoReport(RegionRebalanceError):
    """The experiment has left no report yet."""


class NothingSent(RegionRebalanceError):
    """Nobody sent a document for this: the service made it itself, or did not keep what came yet."""


class BadKey(RegionRebalanceError):
    """The Idempotency-Key header is no key."""


class KeyReused(RegionRebalanceError):
    """The Idempotency-Key came with another body before."""


class BadCursor(RegionRebalanceError):
    """A page was asked for with a cursor that this list never gave out."""


class StoreUnavailable(RegionRebalanceError):
    """The database does not answer, or not as it should."""


class SchemaRefused(StoreUnavailable):
    """The database answers, and this version cannot work with what is there until somebody acts."""


@dataclass(frozen=True, kw_only=True)
class JobRow(Demand):
    """What experiments, sweeps and follow-ups have in common: one row.

    Times are aware UTC; `spec` is canonical JSON, `sent` the text that came for it, letter by letter.
    """

    id: str
    name: str
    state: State
    attempt: int
    spec: str
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    sent: str | None = None
    cancel_requested_at: datetime | None = None
    error_type: str | None = None
    error_message: str | None = None
    mlflow_run_id: str | None = None
    mlflow_status_due: str | None = None
    job_status: str | None = None
    job_since: datetime | None = None
    notices: list[dict[str, Any]] | None = None
    failures: int = 0
    idempotency_key: str | None = None
    request_hash: str | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """What a row of the table says: it has every column, so that no default is asked for."""
        made = object.__new__(cls)
        # A frozen dataclass sets each of its 40 fields by a call of its own, for each row of a list.
        made.__dict__.update(row, state=State(row["state"]))
        return made

    def news(self, found: Sequence[Notice]) -> tuple[Notice, ...]:
        """Those of the notices found that it has not yet, each once."""
        known = [Notice.model_validate(each) for each in self.notices or ()]
        return tuple(dict.fromkeys(each for each in found if each not in known))

    @property
    def stop_asked_at(self) -> datetime | None:
        """Since when its job is to end: somebody cancelled it, or the queue stops it."""
        asked = (self.cancel_requested_at, self.timeout_requested_at, self.preempt_requested_at)
        return min((at for at in asked if at is not None), default=None)

    @property
    def job_id(self) -> str:
        """The submission id: computed, so that a submit can be repeated without doubling the job."""
        return f"{self.id}-{self.attempt}"


@dataclass(frozen=True, kw_only=True)
class Experiment(JobRow):
    """One training run. A trial has its `sweep_id`, whose job is its own too, unless it is `detached`."""

    spec_hash: str
    dataset: str
    model: str
    method: str
    headline: dict[str, float | None] | None = None
    progress: dict[str, Any] | None = None
    sweep_id: str | None = None
    trial: int | None = None
    trial_row: str | None = None
    detached: bool = False
    stopped: bool = False  # early, by its sweep's scheduler; its state is cancelled
    continues: str | None = None  # the experiment from whose checkpoint it goes on
    duplicate_of: str | None = None  # an earlier one of the same spec, code and data, when it was stored


Tagged = tuple[Experiment, Mapping[str, str]]  # a row and its tags


@dataclass(frozen=True, kw_only=True)
class Sweep(JobRow):
    """A grid or search of experiments, run by one job. `paused`: no further trial is to start."""

    paused: bool = False
    spec_hash: str | None = None  # see `sweeps.document.same`
    duplicate_of: str | None = None  # an earlier one of the same document, code and data, when it was stored


@dataclass(frozen=True, kw_only=True)
class Followup(JobRow):
    """What is done with an experiment that was trained, as a job. Its `spec` is the request."""

    experiment_id: str
    kind: FollowupKind
    headline: dict[str, dict[str, float | None]] | None = None  # of an evaluation, by mode


@dataclass(frozen=True)
class Move:
    """A trial's way through one or more states, to be taken at once, if it still is as it was seen.

    `tried`: all that its run directory tells of its attempts.
    """

    row: Experiment
    attempt: int
    steps: tuple[tuple[State, str], ...]  # with the reason of each
    outcome: Outcome
    tried: tuple[AttemptRecord, ...] = ()


@dataclass(frozen=True)
class StateCount:
    """How many trials of a sweep are in a state; `stopped`: those that the scheduler ended early."""

    sweep_id: str
    state: State
    stopped: bool
    number: int


@dataclass(frozen=True)
class Event:
    """One change of state, or a notice, which changes none; `from_state` is None when it was stored."""

    id: int
    at: datetime
    attempt: int
    from_state: State | None
    to_state: State
    reason: str

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Event:
        """The event in a row of the table."""
        left = row["from_state"]
        return cls(**{**row, "from_state": State(left) if left else None, "to_state": State(row["to_state"])})


@dataclass(frozen=True)
class Filters:
    """What a list is narrowed to; an empty field narrows nothing. A tag is (key, value or None for any)."""

    states: Sequence[State] = ()
    methods: Sequence[str] = ()
    datasets: Sequence[str] = ()
    tags: Sequence[tuple[str, str | None]] = ()
    sweeps: Sequence[str] = ()
    owners: Sequence[str] = ()
    projects: Sequence[str] = ()


@dataclass(frozen=True)
class Outcome:
    """What a transition writes beside the state."""

    error_type: str | None = None
    error_message: str | None = None
    headline: Mapping[str, Any] | None = None
    progress: Mapping[str, Any] | None = None
    mlflow_run_id: str | None = None
    mlflow_status_due: str | None = None
    started_at: datetime | None = None
    failures: int | None = None
    stopped: bool | None = None
    preemptions: int | None = None
    wait_reason: Mapping[str, Any] | None = None
    tried: Tried = NOTHING_SAID  # goes into the record of the attempt, not into the row

    def columns(self) -> dict[str, Any]:
        given = {column.name: getattr(self, column.name) for column in fields(self) if column.name != "tried"}
        return {name: value for name, value in given.items() if value is not None}


NOTHING = Outcome()


@dataclass(frozen=True)
class Cursor:
    """Where a page of the list, newest first, ended."""

    created_at: datetime
    id: str

    def encode(self) -> str:
        """Opaque text, safe in a URL."""
        plain = f"{self.created_at.isoformat()} {self.id}"
        return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """What `encode` was given.

        Raises:
            BadCursor: the text is not from there.
        """
        try:
            plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
            at, identifier = plain.split(" ", 1)
            created_at = datetime.fromisoformat(at)
            if created_at.tzinfo is None or not identifier.isprintable():
                raise BadCursor(text)
            return cls(created_at.astimezone(UTC), identifier)
        except (binascii.Error, ValueError, OverflowError):
            raise BadCursor(text) from None
