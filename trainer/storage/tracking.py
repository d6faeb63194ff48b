"""What is known of MLflow's copy of an experiment or sweep: tracking.json, and who asked to send it again."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Literal, TypeVar

from pydantic import AwareDatetime, Field, ValidationError

from trainer.base.strict_model import StrictModel
from trainer.storage.directories import TrackedDir
from trainer.storage.port import StoredFile

Document = TypeVar("Document", bound=StrictModel)
CODE = "tracking"  # of notices


class Trouble(StrEnum):
    """Why MLflow did not take what was sent."""

    DELETED = "deleted"  # the run or its experiment lies in its bin
    LOCKED = "locked"  # it wants other credentials
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    FULL = "full"
    SLOW = "slow"
    BROKEN = "broken"  # it answers, and what it answers is an error, or nothing that makes sense

    @property
    def said(self) -> str:
        """How a sentence about MLflow goes on."""
        return _SAID[self]


_SAID = {
    Trouble.DELETED: "has deleted the run or its experiment",
    Trouble.LOCKED: "refuses the credentials",
    Trouble.REFUSED: "refused",
    Trouble.UNREACHABLE: "was not reached",
    Trouble.FULL: "could not store it, a disk being full",
    Trouble.SLOW: "did not answer in time",
    Trouble.BROKEN: "answered with an error",
}


class TrackingRecord(StrictModel):
    """How the last one to send something fared. `behind`: something is missing in MLflow."""

    state: Literal["ok", "behind"]
    by: str = Field(description="attempt N, track N (see `TrackRequest`) or followup ID.")
    trouble: Trouble | None = Field(default=None, strict=False)
    text: str = ""

    @property
    def behind(self) -> bool:
        return self.state == "behind"


class TrackRequest(StrictModel):
    """Somebody wants everything sent to MLflow again: …/track/N/, N from 1."""

    asked_at: AwareDatetime = Field(strict=False)
    by_person: bool
    attempt: int = Field(description="The newest when it was asked for.")


def read_record(file: StoredFile) -> TrackingRecord | None:
    """What tracking.json says; None where there is none, or it is damaged."""
    return _read(TrackingRecord, file)


def write_record(file: StoredFile, record: TrackingRecord) -> None:
    """Replaces tracking.json. Raises OSError."""
    file.write(record.model_dump_json() + "\n")


def read_requests(place: TrackedDir) -> Iterator[tuple[int, TrackRequest]]:
    """Every request by its number, newest first, up to one that is missing or damaged."""
    number = place.newest_request()
    while number:
        found = _read(TrackRequest, place.request(number).request)
        if found is None:
            return
        yield number, found
        number -= 1


def write_request(place: TrackedDir, request: TrackRequest) -> int:
    """Notes a request, before anything is done about it; its number. Raises OSError."""
    number = place.newest_request() + 1
    place.request(number).request.write(request.model_dump_json() + "\n")
    return number


def _read(kind: type[Document], file: StoredFile) -> Document | None:
    try:
        return kind.model_validate_json(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None
