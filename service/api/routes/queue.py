"""/queue: what waits, in which order, and why. /quotas: who holds how much of what they may."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from service.api.dependencies import WholeQueueDep
from service.api.entry.guard import administrators
from service.reconcile.reconciler import utc_now
from service.shared.queue.schemas import AccountsPublic, QueuePublic

router = APIRouter(tags=["queue"])


@router.get("/queue")
def queue(
    whole: WholeQueueDep,
    limit: Annotated[int, Query(ge=0, le=1000, description="So many of the first.")] = 100,
) -> QueuePublic:
    """What waits, in the order in which it is looked at, each with its reason."""
    return whole.queue(utc_now(), limit=limit)


@router.get("/quotas", dependencies=[Depends(administrators)])
def quotas(whole: WholeQueueDep) -> AccountsPublic:
    """Users and projects with something in the queue or a rule of their own, for administrators."""
    return whole.accounts(utc_now())
