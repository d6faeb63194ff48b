"""Writing files that others read while we write."""

from __future__ import annotations

import errno
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from trainer.base.errors import DiskFull

_FULL = (errno.ENOSPC, errno.EDQUOT)


def write_atomically(path: Path, content: str | bytes, *, mode: int = 0o644) -> None:
    """Replaces `path` as a whole: a reader sees the old content or the new, never a part. Text is UTF-8.

    `mode`: mkstemp's 0600 would hide the file from a service under another user.

    Raises:
        DiskFull: there is no room; the old content stays, and nothing of the new one.
    """
    with writing_atomically(path, mode=mode) as stream:
        stream.write(_encoded(content))


@contextmanager
def writing_atomically(path: Path, *, mode: int = 0o644) -> Iterator[BinaryIO]:
    """A stream whose content becomes `path` when the block ends; if it raises, `path` is as it was.

    Raises:
        DiskFull: as `write_atomically`, in whatever words the block says so.
    """
    with full_disk_told(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w+b") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).chmod(mode)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


@contextmanager
def full_disk_told(directory: Path) -> Iterator[None]:
    """Raises DiskFull for `directory` where the block fails for want of room, in whatever words.

    A library may put an error of its own around the system's: torch's writer of checkpoints does.
    """
    try:
        yield
    except DiskFull:
        raise
    except Exception as error:
        if is_disk_full(error):
            raise DiskFull(str(directory)) from error
        raise


def is_disk_full(error: BaseException | None) -> bool:
    """Whether the error, or one that led to it, says that a disk or a share of it (a quota) is full."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        seen.add(id(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return False


class Appending(io.FileIO):
    """The end of a file, not buffered: what is written is there as a whole, or not at all."""

    def __init__(self, path: Path) -> None:
        with full_disk_told(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            super().__init__(path, "ab")
        self._directory = path.parent

    def write(self, content: bytes, /) -> int:  # type: ignore[override]
        """The number of bytes, always all of them.

        Raises:
            DiskFull: there is no room; what was written of it is taken back.
        """
        before = os.fstat(self.fileno()).st_size
        rest = memoryview(content)
        with full_disk_told(self._directory):
            try:
                while rest:
                    rest = rest[super().write(rest) or 0 :]
            except OSError:
                with suppress(OSError):
                    self.truncate(before)
                raise
        return len(content)


def write_where_asked(path: Path, content: str | bytes) -> None:
    """`write_atomically` to a path that a person gave: at the end of its links, and into a device or pipe.

    Replaced, /dev/null would be an ordinary file from then on, for everybody on the machine.

    Raises:
        DiskFull: there is no room for it.
        OSError: naming `path`, not the temporary file beside it.
    """
    try:
        if path.exists() and not path.is_file():
            with full_disk_told(path), path.open("wb") as stream:  # of a directory: an error
                stream.write(_encoded(content))
        else:
            write_atomically(Path(os.path.realpath(path)), content)
    except DiskFull:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _encoded(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content
