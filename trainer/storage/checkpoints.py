"""Checkpoints of an experiment: which there are, what is known of each, and which may go. Without torch.

What is known of `final` and `best` lies in the file itself, as one record more of its archive: it is there
with the weights or not at all, and goes where they go. torch reads such a file as any other.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, BinaryIO

from pydantic import Field, ValidationError

from trainer.base.errors import CheckpointError
from trainer.base.strict_model import StrictModel
from trainer.storage.layout import Storage
from trainer.storage.port import StoredFile

_TO_RESUME = re.compile(r"iter_(\d+)\.pth")
_RECORD = "kept.json"
_NEWEST = 2  # of those to resume from: the one before is the way out when the newest is damaged
_LONGEST_RECORD = 64 << 10


class KeptScore(StrictModel):
    """A score, percent, of the mode that was evaluated first."""

    name: str
    value: float
    mode: str


class Facts(StrictModel):
    """What a checkpoint to deploy says of itself, beside its weights."""

    iteration: int
    spec_hash: str = Field(description="Of the spec that it was trained by.")
    score: KeptScore | None = Field(description="None where it has no value.")
    best: bool = Field(description="Whether no earlier evaluation was as good.")


@dataclass(frozen=True)
class StoredCheckpoint:
    """One that is there.

    Attributes:
        name: "final", "best", or "iter_N" of one to resume from.
        file: relative to the storage root.
        iteration: at which it was written; None where nothing says it.
        score: in training; None of those to resume from, and where there is no value.
        best: whether `best` means this one. No other file has the final weights where they are the best.
    """

    name: str
    file: str
    iteration: int | None
    bytes: int
    score: KeptScore | None
    written_at: datetime
    best: bool = False

    @property
    def to_resume(self) -> bool:
        return self.name not in ("final", "best")


def list_checkpoints(storage: Storage, experiment: str) -> tuple[StoredCheckpoint, ...]:
    """`final` and `best` first, as far as they are there, then those to resume from, newest first."""
    final = _deployable(storage, storage.final_checkpoint(experiment), "final")
    best = _deployable(storage, storage.best_checkpoint(experiment), "best")
    if final is not None and final.best:
        best = None  # an older one, which goes next
    if final is not None and final.iteration is None:
        final = _dated(storage, experiment, final)
    found = [each for each in (final, best) if each is not None]
    return (*found, *_to_resume(storage, experiment))


def find_checkpoint(storage: Storage, experiment: str, name: str | int) -> StoredCheckpoint:
    """The one that is meant by "final", "best", "last" (the newest to resume from) or an iteration.

    Raises:
        CheckpointError: it is not there; with those that are.
    """
    there = list_checkpoints(storage, experiment)
    found = _meant(there, name)
    if found is None:
        names = ", ".join(each.name for each in there)
        raise CheckpointError(f"{experiment} has no checkpoint {name!r}; there are: {names or 'none'}")
    return found


def _meant(there: Sequence[StoredCheckpoint], name: str | int) -> StoredCheckpoint | None:
    """The first that `name` means; of those of one iteration the one to resume from, which says its own."""
    if isinstance(name, int):
        fitting = [each for each in there if each.iteration == name]
        return max(fitting, key=lambda each: each.to_resume, default=None)
    means = {"best": lambda each: each.best, "last": lambda each: each.to_resume}
    return next(filter(means.get(name, lambda each: each.name == name), there), None)


def lend(storage: Storage, experiment: str, iteration: int, to: str) -> None:
    """Gives another experiment the checkpoint to resume from of this iteration, for as long as it wants.

    Raises:
        FileNotFoundError: there is none. OSError: storage does not answer, or is full.
    """
    name = f"iter_{iteration}.pth"
    storage.checkpoints(experiment).file(name).share(storage.checkpoints(to).file(name))


def prune(
    storage: Storage, experiment: str, *, keep: Collection[str | int], running: bool
) -> tuple[StoredCheckpoint, ...]:
    """Removes all but those named as for `find_checkpoint`; what was removed.

    Args:
        keep: a name that is not there keeps nothing.
        running: whether the experiment is not at its end: what it resumes from and compares with, the newest
            two and `best`, then stays.
    """
    drop_lesser(storage, experiment)
    there = list_checkpoints(storage, experiment)
    kept = {each.name for name in keep if (each := _meant(there, name)) is not None}
    if running:
        resumed = [each.name for each in there if each.to_resume][:_NEWEST]
        kept |= {"best", *resumed}
    gone = tuple(each for each in there if each.name not in kept)
    for each in gone:
        storage.file(each.file).delete()
    return gone


def drop_lesser(storage: Storage, experiment: str) -> None:
    """Removes the best of the earlier evaluations where the last one was better: it is `final`."""
    facts = read_facts(storage.file(storage.final_checkpoint(experiment)))
    if facts is not None and facts.best:
        storage.file(storage.best_checkpoint(experiment)).delete()


def note_facts(stream: BinaryIO, facts: Facts) -> None:
    """Adds a record to the archive that torch has written to `stream`, which can also be read."""
    with zipfile.ZipFile(stream, "a") as archive:
        folder = archive.namelist()[0].partition("/")[0]  # torch has all in one
        archive.writestr(zipfile.ZipInfo(f"{folder}/{_RECORD}"), facts.model_dump_json())


def read_facts(file: StoredFile) -> Facts | None:
    """What a checkpoint says of itself; None where there is none, it is damaged, or is from before that."""
    try:
        with zipfile.ZipFile(file.local) as archive:
            (record,) = (each for each in archive.infolist() if each.filename.endswith(f"/{_RECORD}"))
            if record.file_size > _LONGEST_RECORD:
                return None
            return Facts.model_validate_json(archive.read(record))
    except (OSError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile, ValidationError):
        return None


def plans_of(storage: Storage, experiment: str) -> Iterator[dict[str, Any]]:
    """plan.json of each attempt that has one, as plain data, the newest first."""
    for attempt in range(storage.newest_attempt(experiment), 0, -1):
        with suppress(OSError, ValueError):
            yield json.loads(storage.attempt(experiment, attempt).plan.read_text())


def newest_plan(storage: Storage, experiment: str) -> dict[str, Any] | None:
    """plan.json of the newest attempt that has one, as plain data; None where none has."""
    return next(plans_of(storage, experiment), None)


def _deployable(storage: Storage, name: str, as_: str) -> StoredCheckpoint | None:
    file = storage.file(name)
    at = _written_at(file)
    if at is None:
        return None
    facts = read_facts(file)
    if facts is None:
        return StoredCheckpoint(as_, name, None, file.size(), None, at, best=as_ == "best")
    return StoredCheckpoint(as_, name, facts.iteration, file.size(), facts.score, at, facts.best)


def _to_resume(storage: Storage, experiment: str) -> list[StoredCheckpoint]:
    folder = storage.checkpoints(experiment)
    found = []
    for name in folder.names():
        file = folder.file(name)
        at = _written_at(file)
        if (match := _TO_RESUME.fullmatch(name)) is not None and at is not None:
            where = f"runs/{experiment}/checkpoints/{name}"
            found.append(StoredCheckpoint(name[:-4], where, int(match[1]), file.size(), None, at))
    return sorted(found, key=lambda each: each.iteration or 0, reverse=True)


def _dated(storage: Storage, experiment: str, final: StoredCheckpoint) -> StoredCheckpoint:
    """A final one that does not say its iteration: it is the training's last."""
    try:
        last = int((newest_plan(storage, experiment) or {})["spec"]["schedule"]["iterations"])
    except (LookupError, TypeError, ValueError):
        return final
    return replace(final, iteration=last)


def _written_at(file: StoredFile) -> datetime | None:
    at = file.modified_ns()
    return None if at is None else datetime.fromtimestamp(at / 1e9, UTC)
