"""Room kept on the disk while an attempt runs, so that it can say at its end that the disk was full."""

from __future__ import annotations

import contextlib

from trainer.storage.directories import AttemptDir

_BYTES = 128 * 1024  # a report of 171 classes takes half of it


def take_reserve(attempt: AttemptDir) -> None:
    """Takes the room.

    Raises:
        DiskFull: there is not even so much; nothing of it stays.
    """
    attempt.reserve.write(bytes(_BYTES))


def free_reserve(attempt: AttemptDir) -> None:
    """Gives the room back; nothing where it was never taken."""
    with contextlib.suppress(OSError):
        attempt.reserve.delete()
