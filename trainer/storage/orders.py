"""What others ask of a running attempt, as files in its run directory: stop, go on."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainer.base.errors import Cancelled, StoppedEarly
from trainer.storage.directories import AttemptDir
from trainer.storage.port import StoredFile

_POLL_SECONDS = 0.02
_KINDS: dict[str, type[Cancelled]] = {kind.__name__: kind for kind in (StoppedEarly,)}


@dataclass(frozen=True)
class Orders:
    """Where an attempt looks for them.

    With `permit`, it waits after each evaluation before iteration `last` until that file names the
    evaluation's iteration or a later one: the scheduler of a sweep decides before anything more is trained.
    """

    superseded_by: AttemptDir
    stop: StoredFile | None = None
    permit: StoredFile | None = None
    last: int = 0

    def obey(self, record: Mapping[str, Any]) -> None:
        """Returns when the attempt may go on after `record`.

        Raises:
            Cancelled: somebody asked it to stop, or a newer attempt has begun: two must never write the
                same checkpoints.
            StoppedEarly: a sweep's scheduler did.
        """
        self._check()
        if self.permit is None or record["kind"] != "eval" or record["iteration"] >= self.last:
            return
        while permitted(self.permit) < record["iteration"]:
            time.sleep(_POLL_SECONDS)
            self._check()

    def _check(self) -> None:
        if self.superseded_by.exists():
            raise Cancelled("a newer attempt at this experiment has begun")
        asked = stop_asked(self.stop) if self.stop else None
        if asked is not None:
            raise asked


def stop_asked(file: StoredFile) -> Cancelled | None:
    """What a stop file asks for; an empty one, or one in other words or letters, is a plain cancel."""
    try:
        text = file.read_bytes().decode(errors="replace").strip()
    except FileNotFoundError:
        return None
    try:
        found = json.loads(text)
        return _KINDS[found["type"]](str(found["message"]))
    except (ValueError, KeyError, TypeError):
        return Cancelled(text[:1000] or "cancelled")


def ask_to_stop(file: StoredFile, order: Cancelled) -> None:
    """Writes a stop file. Someone else's order that is there already stays."""
    if not file.exists():
        file.write(json.dumps({"type": type(order).__name__, "message": str(order)}) + "\n")


def permitted(file: StoredFile) -> int:
    """The iteration that a permit names, 0 where there is none."""
    try:
        return int(file.read_text())
    except (FileNotFoundError, ValueError):
        return 0


def permit(file: StoredFile, iteration: int) -> None:
    """Lets the attempt go on beyond its evaluation at `iteration`."""
    file.write(f"{iteration}\n")
