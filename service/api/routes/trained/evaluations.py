"""/experiments/{id}/evaluations: a checkpoint scored again, in other ways or on other data."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from service.api.bodies import JsonBodyDep, json_body
from service.api.dependencies import OwnerDep, QueueDep, RoomDep, SettingsDep, StoreDep, WakeDep
from service.api.problems import LOCATION, documented
from service.api.requests import NothingThere
from service.api.routes.idempotency import KeyDep
from service.api.routes.trained.lists import FollowupQuery, followup_page, followup_there
from service.api.routes.trained.storing import store_followup
from service.api.trained.downloads import download
from service.api.trained.requests import evaluation_of
from service.api.views.followups import followup_public, place_of
from service.shared.followup_schemas import FollowupPublic, PicturesPublic
from service.shared.schemas import Page
from trainer.base.documents import parse_document
from trainer.spec.followups import EvaluationRequest

router = APIRouter(tags=["follow-ups"])

_NOT_FOUND = documented(HTTPStatus.NOT_FOUND)
_MEDIA = {"png": "image/png", "jpg": "image/jpeg", "json": "application/json"}
_EXAMPLE: dict[str, Any] = {"modes": ["single_scale", "multi_scale"], "checkpoint": "best"}
_BODY = json_body(EvaluationRequest, {"modes": ("The best checkpoint, in two modes", _EXAMPLE)})


@router.post(
    "/experiments/{experiment_id}/evaluations",
    status_code=HTTPStatus.CREATED,
    openapi_extra=_BODY,
    responses={201: {"headers": LOCATION}, **documented(*map(HTTPStatus, (400, 404, 408, 409, 413, 415)))},
)
def create(
    experiment_id: str,
    body: JsonBodyDep,
    store: StoreDep,
    queue: QueueDep,
    settings: SettingsDep,
    room: RoomDep,
    wake: WakeDep,
    response: Response,
    idempotency_key: KeyDep,
    owner: OwnerDep,
) -> FollowupPublic:
    """Stores an evaluation and queues it, as a job of its own. Its scores also go into the MLflow run."""
    document = parse_document(body)
    row = store_followup(
        store,
        settings.layout,
        experiment_id,
        "evaluation",
        document,
        idempotency_key,
        room,
        owner,
        lambda: evaluation_of(document, experiment_id, store, settings),
    )
    wake()
    response.headers["Location"] = place_of(row)
    return followup_public(row, queue)


@router.get(
    "/experiments/{experiment_id}/evaluations",
    responses=documented(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND),
)
def find(
    experiment_id: str, query: Annotated[FollowupQuery, Query()], store: StoreDep, queue: QueueDep
) -> Page[FollowupPublic]:
    """Its evaluations, newest first."""
    return followup_page(store, experiment_id, "evaluation", query, queue)


@router.get("/experiments/{experiment_id}/evaluations/{followup_id}", responses=_NOT_FOUND)
def show(experiment_id: str, followup_id: str, store: StoreDep, queue: QueueDep) -> FollowupPublic:
    """One evaluation, with its scores by mode once it has completed."""
    return followup_public(followup_there(store, experiment_id, "evaluation", followup_id), queue)


@router.get("/experiments/{experiment_id}/evaluations/{followup_id}/pictures", responses=_NOT_FOUND)
def pictures(experiment_id: str, followup_id: str, store: StoreDep, settings: SettingsDep) -> PicturesPublic:
    """The pictures on which the two experiments disagree, with `pictures.json`, which has the rule."""
    row = followup_there(store, experiment_id, "evaluation", followup_id)
    return PicturesPublic(items=tuple(settings.layout.followup(experiment_id, row.id).pictures.files()))


@router.get(
    "/experiments/{experiment_id}/evaluations/{followup_id}/pictures/{name}",
    response_class=Response,
    responses={
        200: {"content": {m: {"schema": {"type": "string", "format": "binary"}} for m in _MEDIA.values()}},
        **_NOT_FOUND,
    },
)
def picture(
    experiment_id: str, followup_id: str, name: str, store: StoreDep, settings: SettingsDep
) -> Response:
    """One of them."""
    row = followup_there(store, experiment_id, "evaluation", followup_id)
    folder = settings.layout.followup(experiment_id, row.id).pictures
    media = _MEDIA.get(name.rpartition(".")[2])
    if name not in folder.files() or media is None:
        raise NothingThere(f"evaluation {row.id} has kept no picture {name[:100]!r}")
    return download(folder.file(name), media)
