"""What the plan says, done within a while, and put on record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from service.housekeeping.delete import Deletion
from service.housekeeping.gc.doing import Doing, Outcome, in_turn
from service.housekeeping.gc.plan import Ages, Rows, judged, plan
from service.housekeeping.gc.record import on_record
from service.housekeeping.gc.things import Thing, logged, things
from service.reconcile.cluster import BackendUnreachable
from service.shared.keeping.retention import Kind
from trainer.storage.layout import Storage
from trainer.storage.port import Listed

_WHOLE = ("runs", "sweeps", "weights", "frequencies", "pictures")
_LARGE = ("datasets",)  # of others' files: only what we half-wrote there is looked for
_MOST_SECONDS = 20.0  # of one call: who asks waits for the answer


@dataclass(frozen=True)
class Collected:
    """All that was looked at.

    Attributes:
        more: time was over, and the same call goes on.
        trouble: why MLflow was not looked at, if so.
    """

    outcomes: tuple[Outcome, ...]
    more: bool = False
    trouble: str | None = None


def collect(
    deletion: Deletion,
    ages: Ages,
    now: datetime,
    *,
    dry_run: bool,
    clock: Callable[[], float] = time.monotonic,
) -> Collected:
    """Takes away what is older than `ages`, or only says what that is.

    Raises:
        StoreUnavailable: the database does not answer; what went before stays gone, and is on record.
        OSError: the storage cannot be listed.
    """
    storage, standings = deletion.storage, deletion.store.standings
    # First what lies there, then the rows: what is stored meanwhile has its row by then.
    found = things(_listed(storage))
    rows = standings.of()
    logged, trouble = _logged(deletion, rows, ages, now)
    actions = plan([*(_dated(each, rows, storage) for each in found), *logged], rows, ages, now)
    if dry_run:
        return Collected(tuple(map(Outcome, actions)), trouble=trouble)
    outcomes: list[Outcome] = []
    actions, until, doing = in_turn(actions), clock() + _MOST_SECONDS, Doing(deletion)
    with on_record(deletion.store.audit, actions, outcomes, now):
        for number, action in enumerate(actions):
            if clock() > until:
                return Collected((*outcomes, *map(Outcome, actions[number:])), more=True, trouble=trouble)
            # Somebody may have begun it again since: asked anew for each.
            if judged(action.thing, standings.of(action.thing.of), ages, now) == action:
                outcomes.append(doing.done(action))
    return Collected(tuple(outcomes), trouble=trouble)


def _dated(thing: Thing, rows: Rows, storage: Storage) -> Thing:
    """A folder without a row, by its own time, too: a checkpoint lent to a new one is as old as it was."""
    if thing.kind is not Kind.ORPHANS or thing.of[0] in rows:
        return thing
    changed = datetime.fromtimestamp((storage.folder.folder(thing.path).modified_ns() or 0) / 1e9, UTC)
    return replace(thing, modified_at=max(thing.modified_at, changed))


def _logged(deletion: Deletion, rows: Rows, ages: Ages, now: datetime) -> tuple[list[Thing], str | None]:
    """What runs in MLflow's bin had logged, and why that is not known, if so."""
    if deletion.runs is None or Kind.MLFLOW not in ages:
        return [], None
    ended = [each for each in rows.values() if each.run_id is not None and not each.busy]
    try:
        sizes = deletion.runs.binned({each.run_id for each in ended if each.run_id is not None})
    except BackendUnreachable as error:
        return [], str(error)
    return logged(ended, sizes, now), None


def _listed(storage: Storage) -> Iterator[Listed]:
    for name in (*_WHOLE, *_LARGE):
        for each in storage.folder.folder(name).listing(unfinished=name in _LARGE):
            yield replace(each, name=f"{name}/{each.name}")
