"""Another attempt at what failed or was cancelled, because somebody asks for it."""

from __future__ import annotations

from datetime import datetime

from service.shared.states import State
from service.store.experiments import Store
from service.store.followups import FollowupStore
from service.store.records import Conflict, Experiment, Followup
from trainer.storage.layout import Storage


def retry(store: Store, storage: Storage, row: Experiment, now: datetime) -> Experiment:
    """The experiment, queued again for a job of its own; a trial is detached from its sweep.

    Raises:
        Conflict: it has completed, or has not ended.
        OSError: storage does not answer; nothing has changed.
    """
    if not row.state.can_be_retried:
        asked = ", with a cancel still pending" if _cancel_asked(store, row) else ""
        hint = f"; it goes on once it is resumed: rebalance resume {row.id}"
        raise Conflict(
            f"experiment {row.id} is {row.state}{asked}; only one that failed or was cancelled can be retried"
            + (hint if row.state is State.PAUSED else "")
        )
    attempt = max(row.attempt, storage.newest_attempt(row.id)) + 1
    reason = "retried on request"
    if row.sweep_id is not None:
        # Before the row: from here on no job of the sweep, not even a later one, touches the trial.
        storage.detached(row.id).write("retried on request\n")
        reason = "retried on request, in a job of its own"
    storage.stop(row.id).delete()
    return store.retry(row, attempt=attempt, reason=reason, now=now)


def retry_followup(store: FollowupStore, storage: Storage, row: Followup, now: datetime) -> Followup:
    """The follow-up, queued again; errors as in `retry`."""
    newest = storage.followup(row.experiment_id, row.id).newest_attempt()
    return store.retry(row, attempt=max(row.attempt, newest) + 1, reason="retried on request", now=now)


def _cancel_asked(store: Store, row: Experiment) -> bool:
    """Whether its end is on its way: its own, or with its sweep's."""
    if row.state.ended:
        return False
    if row.sweep_id is None or row.detached:
        return row.cancel_requested_at is not None
    sweep = store.sweeps.get(row.sweep_id)
    return row.cancel_requested_at is not None or sweep.cancel_requested_at is not None
