"""Room kept on the disk while an attempt runs, so that it can say at its end that the disk was full."""

from __future__ import annotations

import contextlib
import os

from trainer.base.files import full_disk_told
from trainer.storage.layout import AttemptDir

_BYTES = 128 * 1024  # a report of 171 classes takes half of it


def take_reserve(attempt: AttemptDir) -> None:
    """Takes the room.

    Raises:
        DiskFull: there is not even so much; nothing of it stays.
    """
    with full_disk_told(attempt.path):
        try:
            with attempt.reserve.local.open("wb") as stream:
                stream.write(bytes(_BYTES))
                stream.flush()
                os.fsync(stream.fileno())
        except OSError:
            free_reserve(attempt)
            raise


def free_reserve(attempt: AttemptDir) -> None:
    """Gives the room back; nothing where it was never taken."""
    with contextlib.suppress(OSError):
        attempt.reserve.delete()
