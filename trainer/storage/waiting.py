"""Why an attempt waits: waiting.json as long as it does, from where it reaches whoever asks about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from typing import Protocol

from pydantic import AwareDatetime, Field, ValidationError

from trainer.base.strict_model import StrictModel
from trainer.base.text import AnyText
from trainer.storage.directories import AttemptDir


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
def waiting(attempt: AttemptDir, code: str, reason: str, would_run: str) -> Iterator[None]:
    """Keeps waiting.json while the block goes on. A full disk ends no wait: then there is no such file."""
    found = Waiting(code=code, reason=reason, would_run=would_run, since=datetime.now(UTC))
    with suppress(OSError):
        attempt.waiting.write(found.model_dump_json() + "\n")
    try:
        yield
    finally:
        with suppress(OSError):
            attempt.waiting.delete()


def read_waiting(attempt: AttemptDir) -> Waiting | None:
    """Why it waits; None where it does not, as far as is known."""
    try:
        return Waiting.model_validate_json(attempt.waiting.read_bytes())
    except (OSError, ValidationError):
        return None
