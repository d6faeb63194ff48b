"""What the API answers, as plain pydantic models: shared by the routes and the client.

They ignore fields they do not know, so that an older client can read a newer service.
"""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from service.shared.states import State

Item = TypeVar("Item")


class Public(BaseModel):
    """Immutable; unknown fields are dropped."""

    model_config = ConfigDict(frozen=True, extra="ignore", serialize_by_alias=True, validate_by_name=True)


class NoticePublic(Public):
    """A fact about a run that a person must see."""

    code: str = Field(description="Its kind, e.g. unseen_class.")
    text: str = Field(description="What is so.")
    hint: str | None = Field(default=None, description="What would mend it.")


class ErrorPublic(Public):
    """Why an experiment failed."""

    type: str = Field(description="Class of the error, e.g. DataError.")
    message: str


class Headline(Public):
    """The numbers of the first evaluation mode, in percent."""

    mIoU: float | None = None
    mAcc: float | None = None
    aAcc: float | None = None
    head_mIoU: float | None = None
    body_mIoU: float | None = None
    tail_mIoU: float | None = None


class Progress(Public):
    """How far the training is."""

    iteration: int
    iterations: int
    loss: float | None = None
    expected_end: AwareDatetime | None = Field(
        default=None, description="Of the training at its present pace, evaluations aside."
    )


class OverridePublic(Public):
    """A field in which an experiment is not its recipe's."""

    pointer: str
    recipe: Any = Field(description="What the recipe has there.")
    spec: Any = Field(description="What the experiment has.")
    text: str = Field(description="For people, such as `iterations 160k → 2k`.")


class Links(Public):
    """Where the rest of an experiment is found, relative to the API; `mlflow` is a whole URL."""

    self: str
    events: str
    logs: str
    metrics: str
    report: str
    cancel: str
    retry: str = ""  # services before sweeps had none
    track: str = ""  # nor this
    pause: str = ""  # nor these
    resume: str = ""
    extend: str = ""
    attempts: str = ""
    sweep: str | None = None
    mlflow: str | None = None


class TrackingPublic(Public):
    """What MLflow has of an experiment, as far as is known."""

    state: Literal["ok", "behind", "missing"] = Field(
        description="behind: MLflow did not take all that was sent; missing: it has no such run any more."
    )
    detail: str = Field(default="", description="What is wrong; empty where nothing is.")
    sending: bool = Field(default=False, description="A job is to send everything again.")
    hint: str | None = Field(default=None, description="What would mend it.")


class TrialOf(Public):
    """Which sweep an experiment is a trial of."""

    id: str
    trial: int
    row: str = Field(description="Trials of one row differ in their seed alone.")
    detached: bool = Field(description="It was retried by itself, and runs in a job of its own.")


class WaitingPublic(Public):
    """Why something does not go on, and what would let it."""

    code: str = Field(description="For programs, such as max_running, unreachable, nodes, room, paused.")
    reason: str
    would_run: str | None = None
    since: AwareDatetime


class QueuedPublic(Public):
    """Whose it is, and how it stands with the queue."""

    owner: str | None = Field(default=None, description="Name of the token that was shown, if any.")
    project: str | None = None
    priority: int = 0
    queued_at: AwareDatetime | None = Field(default=None, description="For the last time.")
    admitted_at: AwareDatetime | None = Field(default=None, description="When its last job was submitted.")
    preemptions: int = Field(default=0, description="How often it was stopped for one of higher priority.")


class ExperimentPublic(Public):
    """One experiment as the API shows it."""

    id: str
    name: str
    state: State
    attempt: int = Field(description="1 for the first try; a lost job is tried again.")
    spec: dict[str, Any] = Field(description="The spec with every default filled in: see POST /experiments.")
    overrides: tuple[OverridePublic, ...] = Field(
        default=(), description="Fields that are not its recipe's; empty without a recipe."
    )
    created_at: AwareDatetime
    updated_at: AwareDatetime
    started_at: AwareDatetime | None = Field(default=None, description="When the job was first seen running.")
    ended_at: AwareDatetime | None = None
    cancel_requested_at: AwareDatetime | None = None
    pause_requested_at: AwareDatetime | None = Field(
        default=None, description="Until it is resumed; it is `paused` once its job has ended."
    )
    error: ErrorPublic | None = None
    headline: Headline | None = None
    progress: Progress | None = None
    waiting: WaitingPublic | None = Field(
        default=None, description="While it waits; gone as soon as it goes on."
    )
    queue: QueuedPublic = QueuedPublic()
    mlflow_run_id: str | None = None
    notices: tuple[NoticePublic, ...] = Field(
        default=(), description="What was noticed in all attempts, each once; events say when."
    )
    tracking: TrackingPublic | None = Field(
        default=None, description="Null without an MLflow, and before there is anything to send."
    )
    sweep: TrialOf | None = Field(default=None, description="Null for an experiment of its own.")
    continues: str | None = Field(
        default=None, description="Id of the one from whose checkpoint it goes on: see /spec/continues."
    )
    duplicate_of: str | None = Field(
        default=None, description="Id of an earlier one of the same spec, code and data, when it was stored."
    )
    links: Links


class ProblemItem(Public):
    """One thing wrong with a request; `pointer` is an RFC 6901 JSON pointer into the document sent."""

    pointer: str
    got: str
    allowed: str


class ExperimentPreview(Public):
    """What a spec asks for: nothing was stored, nothing runs."""

    spec: dict[str, Any] = Field(description="With every default filled in, as it would be stored.")
    overrides: tuple[OverridePublic, ...] = ()
    config: str | None = Field(description="mmsegmentation's file that the model is from, if it is from one.")
    parameters: int | None = Field(
        description="Of the model with these classes; null where it is not known yet."
    )
    evaluation_interval: int = Field(description="Iterations between evaluations; the last is at the end.")
    train_seconds: float | None = Field(
        description="Estimated from runs of the like in this storage; null where there are none."
    )
    problems: tuple[ProblemItem, ...] = Field(
        default=(), description="Why it could not be stored yet: data or weights that are not there."
    )


class EventPublic(Public):
    """One change of state; `from` is null for the first. A notice changes none: `from` and `to` are equal."""

    at: AwareDatetime
    attempt: int
    from_state: State | None = Field(alias="from")
    to_state: State = Field(alias="to")
    reason: str


class Page(Public, Generic[Item]):
    """One page of a list; `next_cursor` asks for the next, null on the last."""

    items: tuple[Item, ...]
    next_cursor: str | None = None


class MetricsPage(Public):
    """Lines of metrics.jsonl over all attempts, oldest first, each with its `attempt`."""

    items: tuple[dict[str, Any], ...]
    next_cursor: str | None = Field(default=None, description="`after` of the next page; null at the end.")
    next_after: int = Field(description="`after` that continues from here, also when more is written later.")


class ProblemDetail(Public):
    """application/problem+json (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str | None = Field(
        default=None, description="urn:region-rebalance:request:ID; the service's log has lines of that id."
    )
    errors: tuple[ProblemItem, ...] = ()
