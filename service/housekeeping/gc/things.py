"""From what lies in storage to what could go: by its path alone, without asking anybody."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from service.shared.keeping.retention import Kind
from service.store.keeping.standings import Standing
from trainer.storage.deleted import NAME as MARK
from trainer.storage.port import Listed

_HIDDEN = "."
_TRIAL = re.compile(r"(swp-[0-9a-f]+)-[0-9]{4,}")
_RESUME = re.compile(r"iter_[0-9]+\.pth")
_PICTURES = frozenset({"picture", "labels.png", "overlay.png", "legend.png"})
_WEIGHTS = {"best.pth": Kind.BEST, "final.pth": Kind.FINAL}


@dataclass(frozen=True)
class Thing:
    """A file or a folder that could go.

    Attributes:
        path: relative to the storage root.
        of: ids of the rows that it hangs on, its own first; empty for what is nobody's.
        modified_at: of a folder the newest in it.
        marked_at: of a folder, when it was marked as deleted, if it was.
    """

    kind: Kind
    path: str
    of: tuple[str, ...]
    bytes: int
    modified_at: datetime
    folder: bool = False
    marked_at: datetime | None = None


def things(listed: Iterable[Listed]) -> list[Thing]:
    """Everything that could go, each file by itself, and each folder of an experiment, sweep or follow-up."""
    files: list[Thing] = []
    folders: dict[str, Thing] = {}
    for each in listed:
        at = datetime.fromtimestamp(each.modified_ns / 1e9, UTC)
        parts = each.name.split("/")
        for path, of in _homes(parts):
            _add(folders, path, of, each, at, marked=each.name == f"{path}/{MARK}")
        hidden = next((number for number, part in enumerate(parts) if part.startswith(_HIDDEN)), None)
        if hidden is not None:
            path = "/".join(parts[: hidden + 1])
            whole = replace(_thing(Kind.LEFTOVERS, path, _owners(parts[:hidden]), each, at), folder=True)
            if path != each.name:
                _merge(folders, whole)
            else:
                files.append(replace(whole, folder=False))
        elif (kind := _kind(parts)) is not None:
            files.append(_thing(kind, each.name, _owners(parts), each, at))
    return [*files, *folders.values()]


def logged(rows: Iterable[Standing], sizes: Mapping[str, int], at: datetime) -> list[Thing]:
    """What runs in MLflow's bin had logged, given by the ids of runs in bytes; its path is no file's."""
    return [
        Thing(Kind.MLFLOW, f"{Kind.MLFLOW}/{row.run_id}", (row.id,), sizes[row.run_id], row.ended_at or at)
        for row in rows
        if row.run_id is not None and row.run_id in sizes
    ]


def _homes(parts: list[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The folders of rows that a file lies in."""
    if len(parts) > 2 and parts[0] in ("runs", "sweeps") and not parts[1].startswith(_HIDDEN):
        yield "/".join(parts[:2]), _owners(parts[:2])
        if len(parts) > 4 and parts[2] == "followups" and not parts[3].startswith(_HIDDEN):
            yield "/".join(parts[:4]), _owners(parts[:4])


def _owners(parts: list[str]) -> tuple[str, ...]:
    if len(parts) < 2 or parts[0] not in ("runs", "sweeps"):
        return ()
    trial = _TRIAL.fullmatch(parts[1])
    above = (parts[1], trial[1]) if trial is not None else (parts[1],)
    return (parts[3], *above) if len(parts) > 3 and parts[2] == "followups" else above


def _kind(parts: list[str]) -> Kind | None:
    match parts:
        case ["runs", _, "checkpoints", name]:
            return Kind.CHECKPOINTS if _RESUME.fullmatch(name) else _WEIGHTS.get(name)
        case ["runs", _, "followups", _, name] if name in _PICTURES:
            return Kind.PICTURES
        case (
            ["runs" | "sweeps", _, number, "log.txt"]
            | ["runs", _, "track", number, "log.txt"]
            | ["runs", _, "followups", _, number, "log.txt"]
        ) if number.isdecimal():
            return Kind.LOGS
    return None


def _thing(kind: Kind, path: str, of: tuple[str, ...], each: Listed, at: datetime) -> Thing:
    return Thing(kind, path, of, each.bytes, at)


def _add(
    folders: dict[str, Thing], path: str, of: tuple[str, ...], each: Listed, at: datetime, *, marked: bool
) -> None:
    new = replace(_thing(Kind.ORPHANS, path, of, each, at), folder=True, marked_at=at if marked else None)
    _merge(folders, new)


def _merge(folders: dict[str, Thing], new: Thing) -> None:
    """Adds what was found to what was found of its folder before."""
    old = folders.get(new.path)
    if old is not None:
        new = replace(
            old,
            bytes=old.bytes + new.bytes,
            modified_at=max(old.modified_at, new.modified_at),
            marked_at=old.marked_at or new.marked_at,
        )
    folders[new.path] = new
