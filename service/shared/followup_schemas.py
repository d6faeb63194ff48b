"""What the API answers about follow-ups and checkpoints: shared by routes and client, as schemas.py is."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, Field

from service.shared.schemas import ErrorPublic, Headline, NoticePublic, Public, QueuedPublic, WaitingPublic
from service.shared.states import State
from trainer.spec.followups import FollowupKind


class FollowupLinks(Public):
    """Where the rest of a follow-up is found, relative to the API."""

    self: str
    experiment: str
    events: str
    logs: str
    report: str
    cancel: str
    retry: str
    pictures: str | None = Field(default=None, description="Of an evaluation.")
    files: str | None = Field(default=None, description="Of an export.")


class FollowupPublic(Public):
    """One follow-up as the API shows it: an evaluation, a prediction or an export."""

    id: str
    kind: FollowupKind
    experiment: str
    state: State = Field(description="One of an experiment's states.")
    attempt: int = Field(description="1 for the first try; a lost job is tried again.")
    request: dict[str, Any] = Field(description="What was asked for, with every default filled in.")
    created_at: AwareDatetime
    updated_at: AwareDatetime
    started_at: AwareDatetime | None = Field(default=None, description="When the job was first seen running.")
    ended_at: AwareDatetime | None = None
    cancel_requested_at: AwareDatetime | None = None
    error: ErrorPublic | None = None
    waiting: WaitingPublic | None = Field(default=None, description="While it waits.")
    queue: QueuedPublic = QueuedPublic()
    scores: dict[str, Headline] | None = Field(default=None, description="Of an evaluation, by mode.")
    notices: tuple[NoticePublic, ...] = ()
    links: FollowupLinks

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.kind} of {self.experiment}"


class PicturesPublic(Public):
    """The pictures that an evaluation has kept: those on which two experiments disagree most."""

    items: tuple[str, ...] = Field(description="Names; each is below the address of this list.")


class FilePublic(Public):
    """One file of an export."""

    path: str = Field(description="Below the address of this list.")
    bytes: int
    sha256: str = Field(description="64 hexadecimal digits.")


class FilesPublic(Public):
    """What an export has kept."""

    items: tuple[FilePublic, ...]
    refused: dict[str, str] = Field(description="Formats that the model does not allow, and why.")


class ScorePublic(Public):
    """A score in percent, of the mode that was evaluated first."""

    name: str
    value: float
    mode: str


class CheckpointPublic(Public):
    """One checkpoint that is kept."""

    name: str = Field(description="`final`, `best`, or `iter_N` of one to resume from.")
    iteration: int | None = Field(description="At which it was written; null where nothing says it.")
    bytes: int
    score: ScorePublic | None = Field(description="In training; null of those to resume from.")
    best: bool = Field(description="Whether `best` means this one: the final one may be the best.")
    written_at: AwareDatetime
    download: str = Field(description="Where it is, relative to the API.")


class CheckpointsPublic(Public):
    """Those that are kept: `final` and `best` first, then those to resume from, newest first."""

    items: tuple[CheckpointPublic, ...]


class PrunedPublic(Public):
    """What was removed, and what is left."""

    removed: tuple[CheckpointPublic, ...]
    items: tuple[CheckpointPublic, ...]
