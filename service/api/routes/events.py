"""/experiments/{id}/events, and the same of sweeps and follow-ups: every change of state, oldest first."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, TypeVar

from fastapi import APIRouter, Query

from service.api.dependencies import StoreDep
from service.api.problems import documented
from service.api.views.experiments import event_public
from service.shared.schemas import EventPublic, Page
from service.store.jobs import Ledger
from service.store.records import JobRow

router = APIRouter()

Row = TypeVar("Row", bound=JobRow)
After = Annotated[int, Query(ge=0, le=2**62, description="`next_cursor` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=1000)]

_NOT_FOUND = documented(HTTPStatus.NOT_FOUND)


@router.get("/experiments/{experiment_id}/events", name="events", tags=["experiments"], responses=_NOT_FOUND)
def of_experiment(
    experiment_id: str, store: StoreDep, cursor: After = 0, limit: Limit = 100
) -> Page[EventPublic]:
    """Every change of state, and what else happened to it, oldest first."""
    return _page(store, experiment_id, cursor, limit)


@router.get("/sweeps/{sweep_id}/events", name="events", tags=["sweeps"], responses=_NOT_FOUND)
def of_sweep(sweep_id: str, store: StoreDep, cursor: After = 0, limit: Limit = 100) -> Page[EventPublic]:
    """Every change of the sweep's own state, and what else happened to it, oldest first."""
    return _page(store.sweeps, sweep_id, cursor, limit)


@router.get("/followups/{followup_id}/events", name="events", tags=["follow-ups"], responses=_NOT_FOUND)
def of_followup(
    followup_id: str, store: StoreDep, cursor: After = 0, limit: Limit = 100
) -> Page[EventPublic]:
    """Every change of its state, and what else happened to it, oldest first."""
    return _page(store.followups, followup_id, cursor, limit)


def _page(ledger: Ledger[Row], identifier: str, cursor: int, limit: int) -> Page[EventPublic]:
    found, following = ledger.history(identifier, after=cursor, limit=limit)
    next_cursor = None if following is None else str(following)
    return Page[EventPublic](items=tuple(map(event_public, found)), next_cursor=next_cursor)
