"""What the API answers about sweeps: shared by the routes and the client, as schemas.py is."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, Field, JsonValue

from service.shared.schemas import ErrorPublic, NoticePublic, Progress, Public, QueuedPublic, WaitingPublic
from service.shared.states import State
from sweeps.document.cost import Cost


class TrialCounts(Public):
    """How many trials stand where."""

    total: int = Field(description="All that will be, those included that a search has yet to draw.")
    waiting: int = 0
    running: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    stopped: int = Field(default=0, description="Early, by the scheduler; in state cancelled.")


class TrialPublic(Public):
    """One trial. Everything else about it is at /experiments/{experiment}."""

    number: int
    experiment: str
    row: str
    seed: int
    state: State
    stopped: bool = Field(default=False, description="By the sweep's scheduler, before its last iteration.")
    detached: bool = Field(default=False, description="Retried by itself: no longer run by the sweep.")
    value: float | None = Field(default=None, description="The sweep's metric, in percent.")
    progress: Progress | None = None
    cancel_requested_at: AwareDatetime | None = Field(default=None, description="Of the trial by itself.")
    error: ErrorPublic | None = None
    duplicate_of: str | None = Field(
        default=None,
        description="Id of an earlier experiment of the same spec, code and data, when it was stored.",
    )


class SweepLinks(Public):
    """Where the rest of a sweep is found, relative to the API; `mlflow`, its parent run, is a whole URL."""

    self: str
    events: str
    table: str
    experiments: str
    cancel: str
    pause: str
    resume: str
    extend: str = ""  # services before had none
    track: str = ""
    attempts: str = ""
    mlflow: str | None = None


class SweepPublic(Public):
    """One sweep as the API shows it. Lists omit `trials`."""

    id: str
    name: str
    state: State
    paused: bool = Field(description="No further trial is started; those that run finish.")
    attempt: int = Field(description="1 for the first job; one that was lost is followed by another.")
    spec: dict[str, Any] = Field(description="With every default filled in: see POST /sweeps.")
    created_at: AwareDatetime
    updated_at: AwareDatetime
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    expected_end: AwareDatetime | None = Field(
        default=None, description="At the pace of the trials that have ended; null before there are any."
    )
    cancel_requested_at: AwareDatetime | None = None
    error: ErrorPublic | None = None
    waiting: WaitingPublic | None = Field(default=None, description="Of its job, while it waits.")
    queue: QueuedPublic = QueuedPublic()
    counts: TrialCounts
    best: TrialPublic | None = Field(default=None, description="The completed trial with the best value.")
    running: tuple[TrialPublic, ...] = Field(default=(), description="At most 20 that train now.")
    trials: tuple[TrialPublic, ...] | None = None
    mlflow_run_id: str | None = None
    duplicate_of: str | None = Field(
        default=None,
        description="Id of an earlier sweep of the same document, code and data, when it was stored.",
    )
    notices: tuple[NoticePublic, ...] = Field(
        default=(),
        description="Of the sweep itself; trials have their own, and the table's notes all of them.",
    )
    links: SweepLinks


class TrialPreview(Public):
    """One trial that a sweep would have."""

    number: int
    name: str
    row: str
    seed: int
    variant: str | None
    settings: dict[str, JsonValue] = Field(description="The value of each axis, by its pointer.")


class SweepPreview(Public):
    """What a sweep would do: nothing was stored, nothing runs."""

    trials: tuple[TrialPreview, ...] = Field(description="Empty where optuna draws them as it goes.")
    cost: Cost
    notes: tuple[str, ...] = Field(default=(), description="What the document does not make plain.")
