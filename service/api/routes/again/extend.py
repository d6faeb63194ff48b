"""/experiments/{id}/extend: further steps of an experiment that has ended, as a new one."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Response

from service.api.again.longer import ExtendRequest, extension_of, parse_extension, store_extension
from service.api.again.same import earlier_same
from service.api.bodies import JsonBodyDep, json_body
from service.api.dependencies import FactsDep, OwnerDep, QueueDep, RoomDep, SettingsDep, StoreDep, WakeDep
from service.api.problems import LOCATION, documented
from service.api.requests import document_hash
from service.api.routes.idempotency import KeyDep, earlier, same_request
from service.api.views.experiments import experiment_public
from service.reconcile.reconciler import utc_now
from service.shared.schemas import ExperimentPublic
from trainer.base.documents import parse_document
from trainer.spec.spec import ExperimentSpec

router = APIRouter(tags=["experiments"])

_EXAMPLE: dict[str, Any] = {"iterations": 1000, "rate": "rescaled"}
_HELD: dict[str, Any] = {"iterations": 1000, "rate": "constant", "learning_rate": 0.001}
_BODY = json_body(
    ExtendRequest,
    {"rescaled": ("As if they had been asked for", _EXAMPLE), "constant": ("At a rate of its own", _HELD)},
)


@router.post(
    "/experiments/{experiment_id}/extend",
    status_code=HTTPStatus.CREATED,
    openapi_extra=_BODY,
    responses={201: {"headers": LOCATION}, **documented(*map(HTTPStatus, (400, 404, 408, 409, 413, 415)))},
)
def extend(
    experiment_id: str,
    body: JsonBodyDep,
    store: StoreDep,
    settings: SettingsDep,
    room: RoomDep,
    wake: WakeDep,
    facts: FactsDep,
    queue: QueueDep,
    response: Response,
    idempotency_key: KeyDep,
    owner: OwnerDep,
) -> ExperimentPublic:
    """Further steps as a new experiment, which goes on from the last checkpoint of this one."""
    document = parse_document(body)
    asked = document_hash(["extend", experiment_id, document])
    row = earlier(store, idempotency_key, asked)
    if row is None:
        old = store.get(experiment_id)
        request = parse_extension(document)
        room()
        new = extension_of(old, request, settings, utc_now())
        spec = ExperimentSpec.model_validate_json(new.spec)
        new = replace(new, idempotency_key=idempotency_key, request_hash=asked, owner=owner)
        new = replace(new, duplicate_of=earlier_same(spec, store, settings))
        row = store_extension(store, settings.layout, new, spec.tags)
        same_request(row, asked)
        wake()
    response.headers["Location"] = f"/experiments/{row.id}"
    return experiment_public(row, settings, facts, queue)
