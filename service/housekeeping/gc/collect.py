"""What the plan says, done: one thing after the other, each whole or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from service.housekeeping.delete import Deletion
from service.housekeeping.gc.plan import Action, Ages, Do, Rows, judged, plan
from service.housekeeping.gc.things import Thing, logged, things
from service.reconcile.cluster import BackendUnreachable, RunCloser
from service.shared.keeping.retention import Kind
from trainer.storage.deleted import Doomed
from trainer.storage.layout import Storage
from trainer.storage.port import Listed

_WHOLE = ("runs", "sweeps", "weights", "frequencies", "pictures")
_LARGE = ("datasets",)  # of others' files: only what we half-wrote there is looked for
_MOST_SECONDS = 20.0  # of one call: who asks waits for the answer


@dataclass(frozen=True)
class Outcome:
    """An action, and what came of it: `trouble` where it could not be done."""

    action: Action
    done: bool = False
    trouble: str | None = None


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
        StoreUnavailable: the database does not answer; what went before stays gone.
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
    until = clock() + _MOST_SECONDS
    for number, action in enumerate(actions):
        if clock() > until:
            return Collected((*outcomes, *map(Outcome, actions[number:])), more=True, trouble=trouble)
        # Somebody may have begun it again since: asked anew for each.
        if judged(action.thing, standings.of(action.thing.of), ages, now) == action:
            outcomes.append(_done(action, deletion))
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


def _done(action: Action, deletion: Deletion) -> Outcome:
    outcome, path = Outcome(action, done=True), action.thing.path
    try:
        if action.do is Do.FINISH:
            trouble = deletion.finish(Doomed(deletion.storage.folder.folder(path)))
            return replace(outcome, done=trouble is None, trouble=trouble)
        if action.do is Do.UNMARK:
            Doomed(deletion.storage.folder.folder(path)).take_back()
        elif action.kind is Kind.MLFLOW:
            _empty(deletion.runs, path)
        elif action.thing.folder:
            deletion.storage.folder.folder(path).delete()
        else:
            deletion.storage.file(path).delete()
    except OSError as error:
        return replace(outcome, done=False, trouble=f"{error.strerror or error}")
    except BackendUnreachable as error:
        return replace(outcome, done=False, trouble=str(error))
    return outcome


def _empty(runs: RunCloser | None, path: str) -> None:
    assert runs is not None
    runs.delete_run(path.rpartition("/")[2])


def _listed(storage: Storage) -> Iterator[Listed]:
    for name in (*_WHOLE, *_LARGE):
        for each in storage.folder.folder(name).listing(unfinished=name in _LARGE):
            yield replace(each, name=f"{name}/{each.name}")
