"""/experiments/{id}/attempts, and the same of sweeps and follow-ups: each try on record, in their order."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, TypeVar

from fastapi import APIRouter, Query

from service.api.dependencies import StoreDep
from service.api.problems import documented
from service.shared.attempt_schemas import AttemptPublic
from service.shared.schemas import Page
from service.store.attempts.values import AttemptRecord
from service.store.jobs import Ledger
from service.store.records import JobRow

router = APIRouter()

Row = TypeVar("Row", bound=JobRow)
After = Annotated[int, Query(ge=0, le=2**62, description="`next_cursor` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=1000)]

_NOT_FOUND = documented(HTTPStatus.NOT_FOUND)


@router.get(
    "/experiments/{experiment_id}/attempts", name="attempts", tags=["experiments"], responses=_NOT_FOUND
)
def of_experiment(
    experiment_id: str, store: StoreDep, cursor: After = 0, limit: Limit = 100
) -> Page[AttemptPublic]:
    """Each try: where it ran, when, and what ended it; of a trial under the job of its sweep."""
    return _page(store, experiment_id, cursor, limit, logs=f"/experiments/{experiment_id}/logs")


@router.get("/sweeps/{sweep_id}/attempts", name="attempts", tags=["sweeps"], responses=_NOT_FOUND)
def of_sweep(sweep_id: str, store: StoreDep, cursor: After = 0, limit: Limit = 100) -> Page[AttemptPublic]:
    """Each job of the sweep: where it ran, when, and what ended it."""
    return _page(store.sweeps, sweep_id, cursor, limit, logs=None)


@router.get("/followups/{followup_id}/attempts", name="attempts", tags=["follow-ups"], responses=_NOT_FOUND)
def of_followup(
    followup_id: str, store: StoreDep, cursor: After = 0, limit: Limit = 100
) -> Page[AttemptPublic]:
    """Each of its jobs: where it ran, when, and what ended it."""
    return _page(store.followups, followup_id, cursor, limit, logs=f"/followups/{followup_id}/logs")


def _page(
    ledger: Ledger[Row], identifier: str, cursor: int, limit: int, *, logs: str | None
) -> Page[AttemptPublic]:
    found, following = ledger.attempts(identifier, after=cursor, limit=limit)
    items = tuple(_public(each, logs) for each in found)
    return Page[AttemptPublic](items=items, next_cursor=None if following is None else str(following))


def _public(record: AttemptRecord, logs: str | None) -> AttemptPublic:
    log = None if logs is None else f"{logs}?attempt={record.attempt}"
    return AttemptPublic(**asdict(record) | {"log": log, "log_file": record.log})
