"""/sweeps/{id}/track: the own run of a sweep that has ended, sent to MLflow again."""

from __future__ import annotations

from fastapi import APIRouter

from service.api.dependencies import FactsDep, QueueDep, SettingsDep, StoreDep, WakeDep
from service.api.problems import CHANGE
from service.api.routes import sweeps
from service.reconcile.reconciler import utc_now
from service.reconcile.track_requests import ask_to_track
from service.shared.sweep_schemas import SweepPublic

router = APIRouter(tags=["sweeps"])


@router.post("/sweeps/{sweep_id}/track", **CHANGE)
def track(
    sweep_id: str, store: StoreDep, settings: SettingsDep, facts: FactsDep, queue: QueueDep, wake: WakeDep
) -> SweepPublic:
    """Sends its table, gains and report again, by a small job; trials have a `track` of their own.

    What MLflow has already is there once. Asked again while that is under way, nothing is added.
    """
    ask_to_track(store.sweeps, settings, store.sweeps.get(sweep_id), utc_now())
    wake()
    return sweeps.show(sweep_id, store, settings, facts, queue, trials=0)
