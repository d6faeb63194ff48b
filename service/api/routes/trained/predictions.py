"""/experiments/{id}/predictions: a picture in, its labels out."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Response

from service.api.bodies import PICTURE_BODY, PictureBodyDep
from service.api.dependencies import OwnerDep, QueueDep, RoomDep, SettingsDep, StoreDep, WakeDep
from service.api.negotiation import accepted
from service.api.problems import LOCATION, documented
from service.api.requests import NoPicture
from service.api.routes.idempotency import KeyDep
from service.api.routes.trained.lists import FollowupQuery, followup_page, followup_there
from service.api.routes.trained.storing import store_followup
from service.api.trained.downloads import download
from service.api.trained.requests import Checkpoint, prediction_of
from service.api.views.followups import followup_public, place_of
from service.shared.followup_schemas import FollowupPublic
from service.shared.schemas import Page
from service.shared.states import State
from service.store.records import Followup
from trainer.spec.checkpoints import FINAL
from trainer.spec.evaluation import SINGLE_SCALE, ModeName

router = APIRouter(tags=["follow-ups"])

View = Literal["labels", "overlay", "legend"]
_PNG, _JSON = "image/png", "application/json"
_LOOK_AGAIN = 2  # seconds
_AGAIN = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}


@router.post(
    "/experiments/{experiment_id}/predictions",
    status_code=HTTPStatus.ACCEPTED,
    openapi_extra=PICTURE_BODY,
    responses={202: {"headers": LOCATION}, **documented(*map(HTTPStatus, (400, 404, 408, 409, 413, 415)))},
)
def create(
    experiment_id: str,
    body: PictureBodyDep,
    store: StoreDep,
    queue: QueueDep,
    settings: SettingsDep,
    room: RoomDep,
    wake: WakeDep,
    response: Response,
    idempotency_key: KeyDep,
    owner: OwnerDep,
    checkpoint: Checkpoint = FINAL,
    mode: ModeName = SINGLE_SCALE,
) -> FollowupPublic:
    """Keeps the picture and queues its prediction: the PNG is at Location once the job has ended."""
    sent = [checkpoint, mode, hashlib.sha256(body).hexdigest()]
    row = store_followup(
        store,
        settings.layout,
        experiment_id,
        "prediction",
        sent,
        idempotency_key,
        room,
        owner,
        lambda: prediction_of(body, checkpoint, mode, experiment_id, settings.layout),
        picture=body,
    )
    wake()
    response.headers["Location"] = place_of(row)
    return followup_public(row, queue)


@router.get(
    "/experiments/{experiment_id}/predictions",
    responses=documented(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND),
)
def find(
    experiment_id: str, query: Annotated[FollowupQuery, Query()], store: StoreDep, queue: QueueDep
) -> Page[FollowupPublic]:
    """Its predictions, newest first."""
    return followup_page(store, experiment_id, "prediction", query, queue)


@router.get(
    "/experiments/{experiment_id}/predictions/{followup_id}",
    response_model=FollowupPublic,
    responses={
        200: {
            "description": "The picture; the document where that is asked for",
            "content": {_PNG: {"schema": {"type": "string", "format": "binary"}}},
        },
        202: {"model": FollowupPublic, "description": "There is no picture yet", "headers": _AGAIN},
        **documented(HTTPStatus.NOT_FOUND, HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.CONFLICT),
    },
)
def show(
    experiment_id: str,
    followup_id: str,
    store: StoreDep,
    queue: QueueDep,
    settings: SettingsDep,
    view: Annotated[View, Query(description="labels: a PNG of class ids.")] = "labels",
    # OpenAPI tells of Accept by the types of the answers, and ignores a parameter of this name.
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Any:
    """The picture's labels as a PNG, 202 while there are none. `Accept: application/json`: the document."""
    row = followup_there(store, experiment_id, "prediction", followup_id)
    if accepted(accept, (_PNG, _JSON)) == _JSON:
        return followup_public(row, queue)
    if not row.state.ended:
        body = followup_public(row, queue).model_dump_json()
        again = {"Retry-After": str(_LOOK_AGAIN)}
        return Response(body, HTTPStatus.ACCEPTED, again, media_type=_JSON)
    if row.state is not State.COMPLETED:
        raise NoPicture(_why(row))
    here = settings.layout.followup(experiment_id, row.id)
    return download({"labels": here.labels, "overlay": here.overlay, "legend": here.legend}[view], _PNG)


def _why(row: Followup) -> str:
    told = f": {row.error_type}: {row.error_message}" if row.error_type else ""
    return f"prediction {row.id} is {row.state}{told}"
