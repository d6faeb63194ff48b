"""/sweeps/{id}/extend: more seeds, values or draws of a sweep that has completed."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter

from service.api.again.more import grown_sweep
from service.api.again.same import Lookback
from service.api.again.same_sweep import with_duplicates
from service.api.bodies import JsonBodyDep, json_body
from service.api.dependencies import FactsDep, QueueDep, RoomDep, SettingsDep, StoreDep, WakeDep
from service.api.problems import documented
from service.api.routes import sweeps
from service.reconcile.reconciler import utc_now
from service.shared.sweep_schemas import SweepPublic
from sweeps.document.stages import SweepExtension, parse_extension
from trainer.base.documents import parse_document

router = APIRouter(tags=["sweeps"])

_SEEDS: dict[str, Any] = {"seeds": 2}
_VALUES: dict[str, Any] = {"axes": {"/method/lambda": [0.5, 1.0]}}
_BODY = json_body(
    SweepExtension,
    {"seeds": ("Two more seeds for each row", _SEEDS), "values": ("Two more values of an axis", _VALUES)},
)


@router.post(
    "/sweeps/{sweep_id}/extend",
    status_code=HTTPStatus.ACCEPTED,
    openapi_extra=_BODY,
    responses=documented(*map(HTTPStatus, (400, 404, 408, 409, 413, 415))),
)
def extend(
    sweep_id: str,
    body: JsonBodyDep,
    store: StoreDep,
    settings: SettingsDep,
    facts: FactsDep,
    queue: QueueDep,
    room: RoomDep,
    wake: WakeDep,
) -> SweepPublic:
    """Adds trials to a sweep that has completed, and queues it again. Those it had keep their numbers."""
    document = parse_document(body)
    row = store.sweeps.get(sweep_id)
    asked = parse_extension(document)
    room()
    now = utc_now()
    grown = grown_sweep(row, asked, settings, now)
    trials = with_duplicates(grown.trials, Lookback(store, settings))
    store.sweeps.extend(row, grown.row, trials, reason=grown.reason, now=now)
    wake()
    return sweeps.show(sweep_id, store, settings, facts, queue, trials=0)
