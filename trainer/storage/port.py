"""What shared storage must be able to do. One adapter so far: `posix.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol


@dataclass(frozen=True)
class Listed:
    """A file as a listing has it: its name as `StoredFolder.file` takes it, its size, when it was changed.

    What lies under several names counts with its share for each.
    """

    name: str
    bytes: int
    modified_ns: int


class StoredFile(Protocol):
    """A file, there or not. As text it is its address, for people. Any method may raise OSError."""

    @property
    def name(self) -> str: ...

    @property
    def local(self) -> Path:
        """A path on this machine, for libraries that take nothing else."""
        ...

    def exists(self) -> bool: ...

    def size(self) -> int:
        """Bytes, 0 where there is no file."""
        ...

    def modified_ns(self) -> int | None:
        """When its content was last changed, None where there is no file."""
        ...

    def read_bytes(self, start: int = 0, stop: int | None = None) -> bytes:
        """The bytes from `start` up to `stop` or the end. Raises FileNotFoundError."""
        ...

    def reading(self) -> BinaryIO:
        """A stream over its content as it is now, whatever becomes of the file; to be closed.

        Raises FileNotFoundError.
        """
        ...

    def read_text(self) -> str:
        """All of it. Raises FileNotFoundError, UnicodeDecodeError."""
        ...

    def lines(self, start: int = 0) -> Iterator[bytes]:
        """Its lines from byte `start` on, one at a time; none where there is no file."""
        ...

    def write(self, content: str | bytes) -> None:
        """Replaces it as a whole: a reader sees the old content or the new, never a part. Text is UTF-8."""
        ...

    def writing(self) -> AbstractContextManager[BinaryIO]:
        """The same with a stream: what was written appears when the block ends, nothing if it raises.

        What was written can be read from it, too.
        """
        ...

    def appending(self) -> BinaryIO:
        """A stream, not buffered, whose writes go to the end, each whole or not at all; to be closed."""
        ...

    def rename(self, name: str) -> StoredFile:
        """The file `name` beside it, replaced as a whole by this one, which is flushed first and gone then.

        Raises FileNotFoundError.
        """
        ...

    def share(self, to: StoredFile) -> None:
        """Replaces `to` as a whole by this content, without room of its own where the storage can do that.

        Both are then to be replaced, never appended to. Raises FileNotFoundError.
        """
        ...

    def delete(self) -> None:
        """Also where there is none."""
        ...


class StoredFolder(Protocol):
    """A place for files and folders, there or not. As text it is its address, for people."""

    @property
    def name(self) -> str: ...

    @property
    def local(self) -> Path:
        """A path on this machine, for libraries that take nothing else."""
        ...

    def file(self, name: str) -> StoredFile: ...

    def folder(self, name: str) -> StoredFolder: ...

    def exists(self) -> bool: ...

    def make(self) -> None:
        """Makes it and those above it; also where it is there."""
        ...

    def names(self) -> list[str]:
        """What lies directly in it, sorted, nothing half-written among it; empty where there is none."""
        ...

    def files(self) -> list[str]:
        """Every file in it and in the folders below, as `file` takes it, sorted; no links, nothing hidden."""
        ...

    def listing(self, *, unfinished: bool = False) -> Iterator[Listed]:
        """Every file in it and in the folders below, also hidden and half-written ones; no links.

        `unfinished`: of what lies directly in it only what is half-written, with all below that.
        """
        ...

    def modified_ns(self) -> int | None:
        """When something was last added or removed directly in it, None where there is no such folder."""
        ...

    def clear_unfinished(self) -> None:
        """Removes files and folders in it that killed writers have left; a writer still at work fails."""
        ...

    def publish(self, name: str, fill: Callable[[Path], None]) -> StoredFolder:
        """The folder `name` in it, filled first where it is not there; it appears as a whole.

        When two fill it at once, one's stays.
        """
        ...

    def delete(self) -> None:
        """With all that is in it, which nobody finds half there; also where there is none."""
        ...
