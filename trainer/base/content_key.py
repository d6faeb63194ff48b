"""What tells one content of files from another without reading it: the inode, its sizes and times."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

_WHOLE_SECOND = 1_000_000_000  # nanoseconds
_TICK = 0.02  # seconds: a kernel's clock for files may stand still for so long


@dataclass(frozen=True)
class ContentKey:
    """`digest` changes with any content, where it is `certain`.

    `newest` is the latest change of any of the files, Unix seconds.
    """

    digest: str
    newest: float
    certain: bool

    def settle(self) -> None:
        """Waits until a change from now on would have another time than those that are known."""
        time.sleep(min(_TICK, max(0.0, self.newest + _TICK - time.time())))


def content_key(
    paths: Iterable[str | Path],
    *,
    also: str = "",
    read: bool = True,
    stat: Callable[[str | Path], os.stat_result] = os.stat,
) -> ContentKey:
    """The key of these files, links followed, in this order.

    Of each file its name, inode number, size, and times of change. Nobody can set the time of the inode's
    change back: it tells a file that was replaced or written in place with size and time kept, and a file of
    another data set, from the one that was there. The device's number is left out, for it changes when a
    network's or container's file system is mounted again; so is the directory, which may be moved. Where a
    file system keeps that time in whole seconds or as an image's maker set it (squashfs, ext3, FAT), only
    the bytes can tell.

    Args:
        also: what else the result depends on.
        read: whether to read the bytes there; if not, the key is not `certain`.
        stat: what the file system says of a file.

    Raises:
        OSError: a file is missing, or cannot be read where it must be.
    """
    digest, newest, certain = hashlib.sha256(also.encode()), 0, True
    for path in paths:
        facts = stat(path)
        name = os.fsencode(path).rpartition(b"/")[2]
        numbers = (facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
        digest.update(b"%b\0%d\0%d\0%d\0%d\0" % (name, *numbers))
        if facts.st_ctime_ns % _WHOLE_SECOND == 0:
            certain = read
            if read:
                digest.update(hashlib.sha256(Path(path).read_bytes()).digest())
        newest = max(newest, facts.st_ctime_ns)
    return ContentKey(digest.hexdigest(), newest / 1e9, certain)
