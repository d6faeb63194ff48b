"""Facts about a run that a person must see: notices.jsonl of an attempt, from where they reach everybody."""

from __future__ import annotations

import fcntl
import os

from pydantic import ValidationError

from trainer.base.strict_model import StrictModel
from trainer.base.text import AnyText
from trainer.storage.directories import AttemptDir


class Notice(StrictModel):
    """One fact. `code` names its kind, `text` says what is so, `hint` what would mend it."""

    code: str
    text: AnyText
    hint: AnyText | None = None

    def __str__(self) -> str:
        return f"{self.text}; hint: {self.hint}" if self.hint else self.text


def add_notice(attempt: AttemptDir, notice: Notice) -> bool:
    """True if the attempt had not this notice yet; any process and thread of it may add one.

    Raises:
        OSError: it cannot be written. A part of it that was is passed over, and written again by the next.
    """
    path = attempt.notices.local
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)  # until it is closed
        stream.seek(0)
        content = stream.read()
        if notice in _notices_in(content):
            return False
        torn = b"\n" if content and not content.endswith(b"\n") else b""
        stream.write(torn + notice.model_dump_json().encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
    return True


def read_notices(attempt: AttemptDir) -> tuple[Notice, ...]:
    """What was noticed in this attempt, oldest first, each once; a line cut short by a kill is left out."""
    try:
        return _notices_in(attempt.notices.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return ()


def _notices_in(content: bytes) -> tuple[Notice, ...]:
    found: dict[Notice, None] = {}
    for line in content.split(b"\n"):
        try:
            found[Notice.model_validate_json(line)] = None
        except ValidationError:
            continue
    return tuple(found)
