"""Shared storage as a directory: a local disk, or a network file system with atomic renames."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from trainer.base.files import Appending, full_disk_told, write_atomically, writing_atomically
from trainer.storage.port import Listed, StoredFile

_HIDDEN = "."  # what is being written has a name that begins so


@dataclass(frozen=True)
class _PosixPlace:
    """What holds of files and folders alike."""

    local: Path

    def __str__(self) -> str:
        return str(self.local)

    @property
    def name(self) -> str:
        return self.local.name

    def exists(self) -> bool:
        return self.local.exists()

    def modified_ns(self) -> int | None:
        try:
            return self.local.stat().st_mtime_ns
        except FileNotFoundError:
            return None


class PosixFile(_PosixPlace):
    """See `trainer.storage.port.StoredFile`."""

    def size(self) -> int:
        try:
            return self.local.stat().st_size
        except FileNotFoundError:
            return 0

    def read_bytes(self, start: int = 0, stop: int | None = None) -> bytes:
        with self.local.open("rb") as stream:
            stream.seek(start)
            return stream.read() if stop is None else stream.read(max(0, stop - start))

    def reading(self) -> BinaryIO:
        return self.local.open("rb")

    def read_text(self) -> str:
        return self.local.read_text(encoding="utf-8")

    def lines(self, start: int = 0) -> Iterator[bytes]:
        try:
            stream = self.local.open("rb")
        except FileNotFoundError:
            return
        with stream:
            stream.seek(start)
            yield from stream

    def write(self, content: str | bytes) -> None:
        write_atomically(self.local, content)

    def writing(self) -> AbstractContextManager[BinaryIO]:
        return writing_atomically(self.local)

    def appending(self) -> BinaryIO:
        return cast(BinaryIO, Appending(self.local))

    def rename(self, name: str) -> PosixFile:
        with self.local.open("rb") as stream:
            os.fsync(stream.fileno())
        return PosixFile(self.local.replace(self.local.with_name(name)))

    def share(self, to: StoredFile) -> None:
        target = to.local
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f"{_HIDDEN}{to.name}.") as scratch:
            link = Path(scratch) / to.name
            try:
                os.link(self.local, link)
            except FileNotFoundError:
                raise
            except OSError:  # another disk, or one without links
                with self.reading() as source, to.writing() as stream:
                    shutil.copyfileobj(source, stream)
            else:
                link.replace(target)

    def delete(self) -> None:
        self.local.unlink(missing_ok=True)


class PosixFolder(_PosixPlace):
    """See `trainer.storage.port.StoredFolder`."""

    def file(self, name: str) -> PosixFile:
        return PosixFile(self.local / name)

    def folder(self, name: str) -> PosixFolder:
        return PosixFolder(self.local / name)

    def make(self) -> None:
        self.local.mkdir(parents=True, exist_ok=True)

    def names(self) -> list[str]:
        try:
            return sorted(each.name for each in self.local.iterdir() if not each.name.startswith(_HIDDEN))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def clear_unfinished(self) -> None:
        if self.local.is_dir():
            for each in self.local.iterdir():
                if not each.name.startswith(_HIDDEN):
                    continue
                if each.is_dir() and not each.is_symlink():
                    shutil.rmtree(each, ignore_errors=True)
                else:
                    each.unlink(missing_ok=True)

    def files(self) -> list[str]:
        found = []
        for path in self.local.rglob("*"):
            below = path.relative_to(self.local)
            hidden = any(part.startswith(_HIDDEN) for part in below.parts)
            if not hidden and path.is_file() and not path.is_symlink():
                found.append(below.as_posix())
        return sorted(found)

    def listing(self, *, unfinished: bool = False) -> Iterator[Listed]:
        for folder, below, files in os.walk(self.local):
            here = Path(folder)
            if unfinished and here == self.local:
                below[:] = [each for each in below if each.startswith(_HIDDEN)]
                files = [each for each in files if each.startswith(_HIDDEN)]
            for name in files:
                try:
                    found = (here / name).lstat()
                except FileNotFoundError:  # gone meanwhile
                    continue
                if stat.S_ISREG(found.st_mode):
                    path = (here / name).relative_to(self.local).as_posix()
                    yield Listed(path, found.st_size // found.st_nlink, found.st_mtime_ns)

    def publish(self, name: str, fill: Callable[[Path], None]) -> PosixFolder:
        target = self.local / name
        if target.is_dir():
            return PosixFolder(target)
        with full_disk_told(self.local):
            self.make()
            with tempfile.TemporaryDirectory(dir=self.local, prefix=f"{_HIDDEN}{name}.") as scratch:
                made = Path(scratch) / "made"
                fill(made)
                try:
                    made.rename(target)
                except OSError:
                    if not target.is_dir():
                        raise
                    shutil.rmtree(made)
        return PosixFolder(target)

    def delete(self) -> None:
        if not self.local.is_dir():
            return
        with tempfile.TemporaryDirectory(dir=self.local.parent, prefix=f"{_HIDDEN}{self.name}.") as scratch:
            self.local.rename(Path(scratch) / "gone")
