"""/experiments/{id}/pause and /resume: it rests from its next record on, and goes on from its checkpoint."""

from __future__ import annotations

from fastapi import APIRouter

from service.api.changing import ChangingDep
from service.api.problems import CHANGE
from service.reconcile.reconciler import utc_now
from service.reconcile.stopping import pausing
from service.shared.schemas import ExperimentPublic

router = APIRouter(tags=["experiments"])


@router.post("/experiments/{experiment_id}/pause", **CHANGE)
def pause(experiment_id: str, change: ChangingDep) -> ExperimentPublic:
    """Asks it to rest. Its job writes a checkpoint at its next record and ends; what it held is free then.

    The state follows: `paused`. A trial rests with its sweep alone.
    """
    return change.done(pausing.pause(change.store, change.settings.layout, experiment_id, utc_now()))


@router.post("/experiments/{experiment_id}/resume", **CHANGE)
def resume(experiment_id: str, change: ChangingDep) -> ExperimentPublic:
    """Queues one that is paused; it goes on from its checkpoint, with the same run in MLflow.

    Where it has not come to rest yet, the pause is taken back.
    """
    return change.done(pausing.resume(change.store, change.settings.layout, experiment_id, utc_now()))
