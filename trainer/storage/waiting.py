"""Why something waits: a file that is there as long as it does, from where it reaches whoever asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from typing import Protocol

from pydantic import AwareDatetime, Field, ValidationError

from trainer.base.strict_model import StrictModel
from trainer.base.text import AnyText
from trainer.storage.port import StoredFile


class Waiting(StrictModel):
    """`code` names the kind, `reason` says what is missing, `would_run` what would end the wait."""

    code: str
    reason: AnyText
    would_run: AnyText | None = None
    since: AwareDatetime = Field(strict=False)


class Waits(Protocol):
    """Says why, for as long as the block goes on."""

    def __call__(self, code: str, reason: str, would_run: str) -> AbstractContextManager[None]: ...


@contextmanager
def waiting(file: StoredFile, code: str, reason: str, would_run: str) -> Iterator[None]:
    """Keeps the file while the block goes on. A full disk ends no wait: then there is no such file."""
    note_waiting(file, Waiting(code=code, reason=reason, would_run=would_run, since=datetime.now(UTC)))
    try:
        yield
    finally:
        no_longer_waiting(file)


def note_waiting(file: StoredFile, why: Waiting) -> None:
    """Writes the file, if it can be written."""
    with suppress(OSError):
        file.write(why.model_dump_json() + "\n")


def no_longer_waiting(file: StoredFile) -> None:
    """Removes the file, if there is one."""
    with suppress(OSError):
        file.delete()


def read_waiting(file: StoredFile) -> Waiting | None:
    """Why it waits; None where it does not, as far as is known."""
    try:
        return Waiting.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None
