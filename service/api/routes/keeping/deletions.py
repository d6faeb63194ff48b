"""DELETE of experiments, sweeps and follow-ups that have ended: their rows, and what they left if asked."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query

from service.api.dependencies import DeletionDep
from service.api.problems import documented
from service.housekeeping.delete import Deleted
from service.reconcile.reconciler import utc_now
from service.shared.keeping.schemas import DeletedPublic

router = APIRouter()

Artifacts = Annotated[bool, Query(description="Also its run directory, and MLflow's run with its artifacts.")]
_REFUSED = documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)


@router.delete("/experiments/{experiment_id}", tags=["experiments"], responses=_REFUSED)
def experiment(experiment_id: str, deletion: DeletionDep, artifacts: Artifacts = False) -> DeletedPublic:
    """Deletes one that has ended, with its follow-ups. Who asked for it, and when, stays on record.

    Without `artifacts` its run directory and MLflow's run stay where they are, and `rebalance adopt` can make
    an experiment of them again. A trial goes with its sweep.
    """
    return _told(deletion.experiment(experiment_id, artifacts=artifacts, now=utc_now()))


@router.delete("/sweeps/{sweep_id}", tags=["sweeps"], responses=_REFUSED)
def sweep(sweep_id: str, deletion: DeletionDep, artifacts: Artifacts = False) -> DeletedPublic:
    """Deletes one that has ended, with all its trials and their follow-ups."""
    return _told(deletion.sweep(sweep_id, artifacts=artifacts, now=utc_now()))


@router.delete("/followups/{followup_id}", tags=["follow-ups"], responses=_REFUSED)
def followup(followup_id: str, deletion: DeletionDep, artifacts: Artifacts = False) -> DeletedPublic:
    """Deletes an evaluation, a prediction or an export that has ended; with `artifacts` its files, too."""
    return _told(deletion.followup(followup_id, artifacts=artifacts, now=utc_now()))


def _told(deleted: Deleted) -> DeletedPublic:
    return DeletedPublic(**asdict(deleted))
