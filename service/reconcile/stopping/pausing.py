"""An experiment is put to rest and taken up again because somebody asks for it."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from service.reconcile.stopping.telling import set_pause
from service.store.experiments import Store
from service.store.records import Experiment
from trainer.storage.layout import Storage


def pause(store: Store, storage: Storage, identifier: str, now: datetime) -> Experiment:
    """The experiment, which is to rest: at once where it waits, else from its next record on.

    Raises:
        Conflict: it has ended, is to be cancelled, or is a trial that its sweep runs.
    """
    row = store.request_pause(identifier, now=now)
    if row.state.has_job:
        _keep_file(storage, row, wanted=True)
    return row


def resume(store: Store, storage: Storage, identifier: str, now: datetime) -> Experiment:
    """The experiment, which rests no longer; one that does not is left as it is.

    Raises:
        Conflict: as for `pause`.
        OSError: storage does not answer; nothing has changed.
    """
    row = store.resume(identifier, newest=storage.newest_attempt(store.get(identifier).id), now=now)
    _keep_file(storage, row, wanted=False)
    return row


def _keep_file(storage: Storage, row: Experiment, *, wanted: bool) -> None:
    with suppress(OSError):  # the reconciler does it when storage is back
        set_pause(storage.pause(row.id), wanted=wanted)
