"""Writing files that others read while we write."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replaces `path` as a whole: a reader sees the old content or the new, never a part. Text is UTF-8."""
    with writing_atomically(path) as stream:
        stream.write(_encoded(content))


@contextmanager
def writing_atomically(path: Path) -> Iterator[BinaryIO]:
    """A stream whose content becomes `path` when the block ends; if it raises, `path` is as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)  # mkstemp's 0600 would hide it from a service under another user
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_where_asked(path: Path, content: str | bytes) -> None:
    """`write_atomically` to a path that a person gave: at the end of its links, and into a device or pipe.

    Replaced, /dev/null would be an ordinary file from then on, for everybody on the machine.

    Raises:
        OSError: naming `path`, not the temporary file beside it.
    """
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as stream:  # of a directory: an error
                stream.write(_encoded(content))
        else:
            write_atomically(Path(os.path.realpath(path)), content)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _encoded(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content
