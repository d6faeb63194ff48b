"""/experiments/{id}/checkpoints: which are kept, their files, and which may go."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import WithJsonSchema
from starlette.convertors import Convertor, register_url_convertor

from service.api.bodies import JsonBodyDep, json_body
from service.api.dependencies import SettingsDep, StoreDep
from service.api.problems import documented, problem
from service.api.requests import NothingThere
from service.api.trained.downloads import IfRangeHeader, RangeHeader, download, download_answers
from service.api.trained.pruning import PruneRequest, kept_of
from service.api.trained.requests import CHECKPOINT_SCHEMA, CHECKPOINT_WORDS, checkpoint_named
from service.api.views.followups import checkpoint_public
from service.reconcile.reconciler import utc_now
from service.shared.followup_schemas import CheckpointsPublic, PrunedPublic
from service.store.experiments import Store
from service.store.records import Conflict, Experiment
from trainer.base.documents import parse_document
from trainer.base.errors import CheckpointError
from trainer.spec.checkpoints import CheckpointName
from trainer.storage.checkpoints import find_checkpoint, list_checkpoints, prune


class _Name(Convertor[CheckpointName]):
    """What names a checkpoint in an address, and nothing else: /checkpoints/prune is another route's."""

    regex = CHECKPOINT_WORDS

    def convert(self, value: str) -> CheckpointName:
        name = checkpoint_named(value)
        assert name is not None
        return name

    def to_string(self, value: CheckpointName) -> str:
        return str(value)


register_url_convertor("checkpoint", _Name())
router = APIRouter(tags=["checkpoints"])

_ANY = "application/octet-stream"
_EXAMPLES = {
    "keep": ("All but these and `final` go", {"keep": ["best"]}),
    "remove": ("These go", {"remove": ["final", 5000]}),
}


@router.get("/experiments/{experiment_id}/checkpoints", responses=documented(HTTPStatus.NOT_FOUND))
def find(experiment_id: str, store: StoreDep, settings: SettingsDep) -> CheckpointsPublic:
    """Those that are kept: `final` and `best` first, then those to resume from, newest first."""
    row = store.get(experiment_id)
    found = list_checkpoints(settings.layout, row.id)
    return CheckpointsPublic(items=tuple(checkpoint_public(row.id, each) for each in found))


@router.post(
    "/experiments/{experiment_id}/checkpoints/prune",
    openapi_extra=json_body(PruneRequest, _EXAMPLES),
    responses=documented(*map(HTTPStatus, (400, 404, 408, 409, 413, 415))),
)
def remove(experiment_id: str, body: JsonBodyDep, store: StoreDep, settings: SettingsDep) -> PrunedPublic:
    """Removes checkpoints of an experiment that has ended. `final` stays, unless `remove` names it."""
    row, storage = store.get(experiment_id), settings.layout
    keep = kept_of(parse_document(body), storage, row.id)
    _check_unused(row, store)
    going = [each.name for each in list_checkpoints(storage, row.id) if each.name not in keep]
    if going:  # first: the database may be away once they have gone
        store.audit.note("prune", "experiment", row.id, now=utc_now(), detail=", ".join(going))
    gone = prune(storage, row.id, keep=keep, running=False)
    return PrunedPublic(
        removed=tuple(checkpoint_public(row.id, each) for each in gone),
        items=tuple(checkpoint_public(row.id, each) for each in list_checkpoints(storage, row.id)),
    )


@router.get(
    "/experiments/{experiment_id}/checkpoints/{name:checkpoint}",
    response_class=Response,
    responses=download_answers(_ANY),
)
def file(
    experiment_id: str,
    name: Annotated[CheckpointName, WithJsonSchema(CHECKPOINT_SCHEMA)],
    store: StoreDep,
    settings: SettingsDep,
    asked: RangeHeader = "",
    if_range: IfRangeHeader = "",
) -> Response:
    """The file of `final`, `best`, `last` or `iter_N`, or a range of it."""
    row = store.get(experiment_id)
    try:
        found = find_checkpoint(settings.layout, row.id, name)
    except CheckpointError as error:
        raise NothingThere(str(error)) from None
    kept_as = f"{row.id}-{found.name}.pth"
    stored = settings.layout.file(found.file)
    return download(stored, _ANY, asked=asked, if_range=if_range, name=kept_as)


_PRUNE = "prune"


@router.get("/experiments/{experiment_id}/checkpoints/{name}", include_in_schema=False)
def nothing(experiment_id: str, name: str, store: StoreDep, settings: SettingsDep) -> Response:
    """What names no checkpoint: 404, with those that are there. `prune` is a route that only takes a POST."""
    if name == _PRUNE:
        status = HTTPStatus.METHOD_NOT_ALLOWED
        answer = problem(status, status.phrase, "GET is not possible here; allowed: POST")
        answer.headers["Allow"] = "POST"
        return answer
    there = ", ".join(each.name for each in list_checkpoints(settings.layout, store.get(experiment_id).id))
    raise NothingThere(
        f"{name!r} names no checkpoint; allowed: final, best, last or iter_N; there are: {there or 'none'}"
    )


def _check_unused(row: Experiment, store: Store) -> None:
    """Raises Conflict while somebody writes or reads the experiment's checkpoints."""
    if not row.state.ended:
        raise Conflict(f"experiment {row.id} is {row.state}: it goes on from its checkpoints")
    if readers := store.followups.reading(row.id):
        named = ", ".join(each.id for each in readers)
        raise Conflict(f"checkpoints of experiment {row.id} are read by {named}")
