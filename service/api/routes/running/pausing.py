"""/experiments/{id}/pause and /resume: it rests from its next record on, and goes on from its checkpoint."""

from __future__ import annotations

from fastapi import APIRouter

from service.api.dependencies import FactsDep, QueueDep, SettingsDep, StoreDep, WakeDep
from service.api.problems import CHANGE
from service.api.views.experiments import experiment_public
from service.reconcile.reconciler import utc_now
from service.reconcile.stopping import pausing
from service.shared.schemas import ExperimentPublic

router = APIRouter(tags=["experiments"])


@router.post("/experiments/{experiment_id}/pause", **CHANGE)
def pause(
    experiment_id: str,
    store: StoreDep,
    settings: SettingsDep,
    wake: WakeDep,
    facts: FactsDep,
    queue: QueueDep,
) -> ExperimentPublic:
    """Asks it to rest. Its job writes a checkpoint at its next record and ends; what it held is free then.

    The state follows: `paused`. A trial rests with its sweep alone.
    """
    row = pausing.pause(store, settings.layout, experiment_id, utc_now())
    wake()
    return experiment_public(row, settings, facts, queue)


@router.post("/experiments/{experiment_id}/resume", **CHANGE)
def resume(
    experiment_id: str,
    store: StoreDep,
    settings: SettingsDep,
    wake: WakeDep,
    facts: FactsDep,
    queue: QueueDep,
) -> ExperimentPublic:
    """Queues one that is paused; it goes on from its checkpoint, with the same run in MLflow.

    Where it has not come to rest yet, the pause is taken back.
    """
    row = pausing.resume(store, settings.layout, experiment_id, utc_now())
    wake()
    return experiment_public(row, settings, facts, queue)
