"""How follow-ups are stored: once for each Idempotency-Key, and a picture never without its row."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import ValidationError

from service.api.requests import document_hash
from service.api.routes.idempotency import earlier, same_request
from service.reconcile.reconciler import utc_now
from service.store.experiments import Store
from service.store.new_rows import new_followup
from service.store.records import Experiment, Followup, StoreUnavailable, UnknownFollowup
from trainer.spec.followups import AnyRequest, FollowupKind
from trainer.spec.spec import ExperimentSpec
from trainer.storage.layout import Storage


def store_followup(
    store: Store,
    storage: Storage,
    experiment: str,
    kind: FollowupKind,
    sent: object,
    key: str | None,
    room: Callable[[], None],
    owner: str | None,
    checked: Callable[[], AnyRequest],
    picture: bytes | None = None,
) -> Followup:
    """What `checked` gives as a stored follow-up, or what the key has stored before.

    Args:
        sent: by which a request that comes with the same key again is known.
        owner: whose it will be.
        picture: kept with it, whole or not at all.

    Raises:
        UnknownExperiment: there is none of this id.
        QueueFull: too much waits.
        KeyReused: the key came with something else.
        StoreUnavailable: the database was lost; a picture stays where its row may have been stored.
        OSError: storage does not answer, or is full; nothing stays.
    """
    trained = store.get(experiment)
    asked = document_hash([experiment, kind, sent])
    row = earlier(store.followups, key, asked)
    if row is not None:
        return row
    room()
    request, now = checked(), utc_now()
    spec = _readable(trained)
    new = new_followup(experiment, request, now=now, key=key, request_hash=asked, trained=spec, owner=owner)
    row = _stored(store, storage, new, picture)
    same_request(row, asked)
    return row


def _readable(row: Experiment) -> ExperimentSpec | None:
    """Its spec; None of another release's, of which its job will say what is wrong."""
    try:
        return ExperimentSpec.model_validate_json(row.spec)
    except ValidationError:
        return None


def _stored(store: Store, storage: Storage, new: Followup, picture: bytes | None) -> Followup:
    if picture is None:
        return store.followups.create(new)
    here = storage.followup(new.experiment_id, new.id)
    row: Followup | None = None
    try:
        here.picture.write(picture)
        row = store.followups.create(new)
    except StoreUnavailable:
        row = new if _may_be_stored(store, new) else None
        raise
    finally:
        if row is None or row.id != new.id:  # refused, or another request with the key was faster
            here.folder.delete()
    return row


def _may_be_stored(store: Store, new: Followup) -> bool:
    """Whether its row is there, or nobody knows: the database was lost while it answered, perhaps."""
    try:
        store.followups.get(new.id)
    except UnknownFollowup:
        return False
    except StoreUnavailable:
        return True  # without a row it is an orphan, which `rebalance gc` knows
    return True
