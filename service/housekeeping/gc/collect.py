"""What the plan says, done: one thing after the other, each whole or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from service.housekeeping.delete import Deletion
from service.housekeeping.gc.plan import Action, Ages, Do, judged, plan
from service.housekeeping.gc.things import things
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
    """All that was looked at. `more`: time was over, and the same call goes on."""

    outcomes: tuple[Outcome, ...]
    more: bool = False


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
    actions = plan(found, standings.of(), ages, now)
    if dry_run:
        return Collected(tuple(map(Outcome, actions)))
    outcomes: list[Outcome] = []
    until = clock() + _MOST_SECONDS
    for number, action in enumerate(actions):
        if clock() > until:
            return Collected((*outcomes, *map(Outcome, actions[number:])), more=True)
        # Somebody may have begun it again since: asked anew for each.
        if judged(action.thing, standings.of(action.thing.of), ages, now) == action:
            outcomes.append(_done(action, deletion))
    return Collected(tuple(outcomes))


def _done(action: Action, deletion: Deletion) -> Outcome:
    outcome, path = Outcome(action, done=True), action.thing.path
    try:
        if action.do is Do.FINISH:
            trouble = deletion.finish(Doomed(deletion.storage.folder.folder(path)))
            return replace(outcome, done=trouble is None, trouble=trouble)
        if action.do is Do.UNMARK:
            Doomed(deletion.storage.folder.folder(path)).take_back()
        elif action.thing.folder:
            deletion.storage.folder.folder(path).delete()
        else:
            deletion.storage.file(path).delete()
    except OSError as error:
        return replace(outcome, done=False, trouble=f"{error.strerror or error}")
    return outcome


def _listed(storage: Storage) -> Iterator[Listed]:
    for name in (*_WHOLE, *_LARGE):
        for each in storage.folder.folder(name).listing(unfinished=name in _LARGE):
            yield replace(each, name=f"{name}/{each.name}")
