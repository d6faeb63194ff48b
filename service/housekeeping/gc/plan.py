"""What goes, and why: a pure function of what could go, of how rows stand, and of the rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from service.housekeeping.gc.things import Thing
from service.shared.keeping.retention import Kind
from service.store.keeping.standings import Standing

_MARKS_SETTLE = timedelta(hours=1)  # a deletion that is under way is not disturbed
_WORDS = {
    Kind.CHECKPOINTS: "to resume from",
    Kind.BEST: "the best weights",
    Kind.FINAL: "the final weights",
    Kind.LOGS: "the log",
    Kind.PICTURES: "a prediction's picture",
    Kind.MLFLOW: "logged by a run that somebody deleted in MLflow",
}

Ages = Mapping[Kind, timedelta]
Rows = Mapping[str, Standing]


class Do(StrEnum):
    """What is done with it."""

    REMOVE = "remove"
    FINISH = "finish"  # the deletion of what it is the rest of
    UNMARK = "unmark"  # its deletion did not happen


@dataclass(frozen=True)
class Action:
    """One thing, what is done with it, and why."""

    do: Do
    kind: Kind
    thing: Thing
    reason: str

    @property
    def frees(self) -> int:
        """Bytes."""
        return 0 if self.do is Do.UNMARK else self.thing.bytes


def sums(actions: Iterable[Action]) -> dict[Kind, tuple[int, int]]:
    """How many things of each kind, and how many bytes that frees; kinds in the order of their names."""
    found: dict[Kind, tuple[int, int]] = {}
    for each in actions:
        number, size = found.get(each.kind, (0, 0))
        found[each.kind] = (number + 1, size + each.frees)
    return dict(sorted(found.items()))


def plan(found: Iterable[Thing], rows: Rows, ages: Ages, now: datetime) -> list[Action]:
    """What goes. Nothing that lies in a folder which goes as a whole is named besides."""
    actions = [action for each in found if (action := judged(each, rows, ages, now)) is not None]
    whole = {each.thing.path for each in actions if each.thing.folder and each.do is not Do.UNMARK}
    return [each for each in actions if not any(above in whole for above in _above(each.thing.path))]


def judged(thing: Thing, rows: Rows, ages: Ages, now: datetime) -> Action | None:
    """What is done with it; None: it stays.

    Nothing of what goes on or is in use goes, and nothing of what carries the tag `keep`.
    """
    standing = [rows[each] for each in thing.of if each in rows]
    if any(each.busy or each.kept for each in standing):
        return None
    if thing.kind is Kind.ORPHANS:
        return _of_folder(thing, rows, ages, now)
    age = ages.get(thing.kind)
    if age is None:
        return None
    if thing.kind is Kind.LEFTOVERS:
        if thing.of and thing.of[0] not in rows:
            return None  # goes with its folder, or stays with it
        why = f"half-written, or of a job that was killed; last changed {_days(now - thing.modified_at)} ago"
        return Action(Do.REMOVE, thing.kind, thing, why) if now - thing.modified_at >= age else None
    own = rows.get(thing.of[0]) if thing.of else None
    if own is None or own.ended_at is None or now - own.ended_at < age:
        return None
    ended = f"{own.id} ended {_days(now - own.ended_at)} ago"
    return Action(
        Do.REMOVE, thing.kind, thing, f"{_WORDS[thing.kind]}; {ended}, and is kept for {_days(age)}"
    )


def _of_folder(thing: Thing, rows: Rows, ages: Ages, now: datetime) -> Action | None:
    """Of an experiment, a sweep or a follow-up: whether it has a row, and whether it was to be deleted."""
    own, *above = thing.of
    if thing.marked_at is not None and Kind.DELETED in ages:
        if own not in rows:
            return Action(Do.FINISH, Kind.DELETED, thing, f"{own} was deleted; this is left of it")
        if now - thing.marked_at >= _MARKS_SETTLE:
            return Action(Do.UNMARK, Kind.DELETED, thing, f"the deletion of {own} did not come to its end")
    if own in rows or thing.marked_at is not None:
        return None
    age, inside = ages.get(Kind.ORPHANS), "/followups/" in thing.path
    if age is None or now - thing.modified_at < age or (inside and above[0] not in rows):
        return None
    why = f"no row has the id {own}; last changed {_days(now - thing.modified_at)} ago"
    return Action(Do.REMOVE, Kind.ORPHANS, thing, why)


def _above(path: str) -> Iterable[str]:
    parts = path.split("/")
    return ("/".join(parts[:end]) for end in range(1, len(parts)))


def _days(age: timedelta) -> str:
    return f"{age.days} d" if age.days else f"{int(age.total_seconds()) // 3600} h"
