"""/experiments/{id}/exports: a checkpoint in the formats of other programs."""

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
from service.api.trained.downloads import IfRangeHeader, RangeHeader, download, download_answers, sha256_of
from service.api.trained.requests import export_of
from service.api.views.followups import followup_public, place_of
from service.reconcile import run_directories
from service.shared.followup_schemas import FilePublic, FilesPublic, FollowupPublic
from service.shared.schemas import Page
from trainer.base.documents import parse_document
from trainer.results.followup import ExportResult
from trainer.spec.followups import ExportRequest

router = APIRouter(tags=["follow-ups"])

_NOT_FOUND = documented(HTTPStatus.NOT_FOUND)
_ANY = "application/octet-stream"
_EXAMPLE: dict[str, Any] = {"formats": ["safetensors", "onnx"]}
_BODY = json_body(ExportRequest, {"two": ("The final checkpoint in two formats", _EXAMPLE)})


@router.post(
    "/experiments/{experiment_id}/exports",
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
    """Stores an export and queues it. What does not predict the same labels as the checkpoint is not kept."""
    document = parse_document(body)
    row = store_followup(
        store,
        settings.layout,
        experiment_id,
        "export",
        document,
        idempotency_key,
        room,
        owner,
        lambda: export_of(document, experiment_id, settings.layout),
    )
    wake()
    response.headers["Location"] = place_of(row)
    return followup_public(row, queue)


@router.get(
    "/experiments/{experiment_id}/exports",
    responses=documented(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND),
)
def find(
    experiment_id: str, query: Annotated[FollowupQuery, Query()], store: StoreDep, queue: QueueDep
) -> Page[FollowupPublic]:
    """Its exports, newest first."""
    return followup_page(store, experiment_id, "export", query, queue)


@router.get("/experiments/{experiment_id}/exports/{followup_id}", responses=_NOT_FOUND)
def show(experiment_id: str, followup_id: str, store: StoreDep, queue: QueueDep) -> FollowupPublic:
    """One export."""
    return followup_public(followup_there(store, experiment_id, "export", followup_id), queue)


@router.get(
    "/experiments/{experiment_id}/exports/{followup_id}/files",
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
def files(experiment_id: str, followup_id: str, store: StoreDep, settings: SettingsDep) -> FilesPublic:
    """What was kept, file by file, and which formats the model does not allow; empty before its end."""
    row = followup_there(store, experiment_id, "export", followup_id)
    if not row.state.ended:
        return FilesPublic(items=(), refused={})
    found = run_directories.followup_report_of(settings.layout, row, row.attempt)
    result = found.result if found is not None else None
    folder = settings.layout.followup(experiment_id, row.id).export
    there = ((path, folder.file(path)) for path in folder.files())
    return FilesPublic(
        items=tuple(FilePublic(path=path, bytes=it.size(), sha256=sha256_of(it)) for path, it in there),
        refused=dict(result.refused) if isinstance(result, ExportResult) else {},
    )


@router.get(
    "/experiments/{experiment_id}/exports/{followup_id}/files/{path:path}",
    response_class=Response,
    responses=download_answers(_ANY),
)
def file(
    experiment_id: str,
    followup_id: str,
    path: str,
    store: StoreDep,
    settings: SettingsDep,
    asked: RangeHeader = "",
    if_range: IfRangeHeader = "",
) -> Response:
    """One of them, or a range of it."""
    row = followup_there(store, experiment_id, "export", followup_id)
    folder = settings.layout.followup(experiment_id, row.id).export
    if path not in folder.files():  # no path leads out of the folder: those in it are compared
        raise NothingThere(f"export {row.id} has kept no file {path[:100]!r}")
    return download(folder.file(path), _ANY, asked=asked, if_range=if_range)
