"""Pretrained weights in shared storage: what lies in weights/, and what is known of each file.

NAME.pth is a whole file, NAME.json what was found when it was read (`WeightsNote`), NAME.part a download
that broke off, NAME.part.json where it came from. A file without its note, or of another size, counts as
unchecked.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydantic import Field, ValidationError

from trainer.base.errors import DiskFull, WeightsError
from trainer.base.strict_model import StrictModel
from trainer.base.text import AnyText
from trainer.storage.layout import Storage
from trainer.storage.port import StoredFile, StoredFolder

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
NAME_WORDS = (
    "1 to 100 letters, digits, '.', '_' or '-', the first of them a letter or digit, not none or pretrained,"
    " not ending in .pth or .part"
)
_RESERVED = ("none", "pretrained")  # words of a spec
_CHUNK = 1 << 20


class WeightsNote(StrictModel):
    """What was found when the whole file was read, so that nobody needs to read 1 GB to know it again."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=1, description="Bytes.")
    layout: str = Field(description="Whose names and order its tensors have.")
    source: AnyText = Field(description="The address or the file that it came from.")


class PartOrigin(StrictModel):
    """Where a broken-off download came from; `validator` is the server's word for these very bytes."""

    url: str
    validator: str | None = None


@dataclass(frozen=True)
class StoredWeights:
    """A whole, checked file."""

    name: str
    file: StoredFile
    note: WeightsNote


def is_weights_name(name: str) -> bool:
    """Whether a file of weights may have this name."""
    lower = name.lower()
    return bool(_NAME.fullmatch(name)) and lower not in _RESERVED and not lower.endswith((".part", ".pth"))


class WeightsFolder:
    """weights/ of a storage."""

    def __init__(self, storage: Storage) -> None:
        self.folder: StoredFolder = storage.weights

    def names(self) -> list[str]:
        """Of whole files, checked or not, and of broken-off downloads, sorted."""
        parts = (name.rpartition(".") for name in self.folder.names())
        return sorted({stem for stem, _, end in parts if end in ("pth", "part") and is_weights_name(stem)})

    def find(self, name: str) -> StoredWeights | None:
        """The file of this name if it is whole and was checked; any text is a name to ask for."""
        if not is_weights_name(name):
            return None
        file, note = self.file(name), self.note(name)
        if note is None or not file.exists() or file.size() != note.size:
            return None
        return StoredWeights(name, file, note)

    def note(self, name: str) -> WeightsNote | None:
        """What was found when the file of this name was read, whatever lies there now."""
        try:
            return WeightsNote.model_validate_json(self._note_file(name).read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValidationError):
            return None

    def is_unchecked(self, name: str) -> bool:
        """Whether a file lies there that nobody has checked, or that was changed since."""
        return is_weights_name(name) and self.file(name).exists() and self.find(name) is None

    def arrived(self, name: str) -> int:
        """Bytes of a download that broke off, 0 where there is none."""
        return self._part(name).size() if is_weights_name(name) else 0

    def file(self, name: str) -> StoredFile:
        """Where the weights of this name lie or would lie."""
        return self.folder.file(f"{_checked(name)}.pth")

    def digest(self, name: str) -> tuple[str, int]:
        """(SHA-256 as hexadecimal digits, bytes) of what lies there now, read. Raises FileNotFoundError."""
        return digest_of(self.file(name).local)

    def keep_note(self, name: str, note: WeightsNote) -> None:
        """From now on the file of this name counts as checked, if it has the note's size. Raises OSError."""
        self._note_file(name).write(note.model_dump_json() + "\n")

    def distrust(self, name: str) -> None:
        """From now on the file of this name counts as unchecked. Raises OSError."""
        self._note_file(name).delete()

    def copy_in(self, path: Path, name: str, note: WeightsNote) -> StoredWeights:
        """A copy of `path`, which was read as `note` says, as the weights of this name.

        Raises:
            WeightsError: the file has changed since.
            DiskFull: there is no room for it; nothing of it stays.
            OSError: it cannot be read or written.
        """
        digest = hashlib.sha256()
        with path.open("rb") as source, self.file(name).writing() as stream:
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                stream.write(chunk)
            if digest.hexdigest() != note.sha256:
                raise WeightsError(f"{path} has changed while it was copied")
            self.keep_note(name, note)
        return StoredWeights(name, self.file(name), note)

    @contextmanager
    def receiving(self, name: str) -> Iterator[Partial]:
        """What has arrived of a download, to go on with; one process at a time.

        Raises:
            WeightsError: another process receives it.
            DiskFull: there is no room; nothing of it stays.
        """
        part = self._part(name)
        with closing(part.appending()) as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until it is closed
                ours = os.path.samestat(os.fstat(stream.fileno()), part.local.stat())
            except (BlockingIOError, FileNotFoundError):
                ours = False  # or another process has just renamed what we opened
            if not ours:
                raise WeightsError(f"{name} is being fetched by another process")
            partial = Partial(self, name, part, stream)
            try:
                yield partial
            except DiskFull:
                partial.delete()
                raise
            finally:
                if partial.size == 0:
                    partial.delete()

    def _part(self, name: str) -> StoredFile:
        return self.folder.file(f"{_checked(name)}.part")

    def _note_file(self, name: str) -> StoredFile:
        return self.folder.file(f"{_checked(name)}.json")


class Partial:
    """NAME.part while this process holds it. Every method may raise OSError."""

    def __init__(self, folder: WeightsFolder, name: str, file: StoredFile, stream: BinaryIO) -> None:
        self._folder, self._name, self._file, self._stream = folder, name, file, stream
        self._origin_file = folder.folder.file(f"{file.name}.json")
        self.size = file.size()  # bytes that have arrived

    @property
    def local(self) -> Path:
        """A path on this machine, to read what has arrived."""
        return self._file.local

    @property
    def origin(self) -> PartOrigin | None:
        """Where these bytes came from, None where that is not known."""
        try:
            return PartOrigin.model_validate_json(self._origin_file.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def come_from(self, origin: PartOrigin) -> None:
        """Notes where the bytes that follow come from."""
        self._origin_file.write(origin.model_dump_json() + "\n")

    def append(self, chunk: bytes) -> None:
        """Adds what has arrived. Raises DiskFull."""
        self._stream.write(chunk)
        self.size += len(chunk)

    def restart(self) -> None:
        """Forgets what has arrived, and goes on receiving."""
        self._stream.truncate(0)
        self._origin_file.delete()
        self.size = 0

    def delete(self) -> None:
        """Leaves nothing of it."""
        self.restart()
        self._file.delete()

    def keep(self, note: WeightsNote) -> StoredWeights:
        """These are the weights of this name, from now on found by it."""
        self._folder.keep_note(self._name, note)
        file = self._file.rename(self._folder.file(self._name).name)
        self._origin_file.delete()
        return StoredWeights(self._name, file, note)


def digest_of(path: Path) -> tuple[str, int]:
    """(SHA-256 as hexadecimal digits, bytes) of a file. Raises OSError."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return digest, stream.tell()


def _checked(name: str) -> str:
    if not is_weights_name(name):
        raise ValueError(f"{name!r} is no name of weights")
    return name
