"""/experiments: ask for a training run, find it again, cancel it, try it again."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from service.api.again.longer import refuse_continues
from service.api.again.same import earlier_same
from service.api.bodies import SENT, JsonBodyDep, as_it_came, json_body
from service.api.changing import ChangingDep
from service.api.dependencies import (
    FactsDep,
    MachinesDep,
    OwnerDep,
    QueueDep,
    RoomDep,
    SettingsDep,
    StoreDep,
    WakeDep,
)
from service.api.entry.owners import owners_named
from service.api.problems import CHANGE, LOCATION, documented
from service.api.requests import BadParameter, document_hash
from service.api.routes.idempotency import KeyDep, earlier, same_request
from service.api.views.experiments import experiment_public
from service.api.views.previews import experiment_preview
from service.api.views.tracking import runs_in
from service.reconcile.reconciler import utc_now
from service.reconcile.retry_on_request import retry as retry_experiment
from service.reconcile.track_requests import ask_to_track
from service.shared.schemas import ExperimentPreview, ExperimentPublic, Page
from service.shared.states import State
from service.store.new_rows import new_experiment
from service.store.records import Filters
from trainer.base.documents import parse_document, text_of
from trainer.base.errors import Problem
from trainer.data.folders import resolve_spec
from trainer.spec.spec import ExperimentSpec, parse_spec

router = APIRouter(tags=["experiments"])

EXAMPLE: dict[str, Any] = {
    "name": "digits, region rebalance",
    "dataset": {"name": "digit_scenes"},
    "model": "small",
    "method": {"kind": "region_rebalance", "lambda": 0.3},
    "schedule": {"iterations": 1000, "batch_size": 16, "crop_size": [64, 64]},
    "resources": {"workers": 1, "gpus_per_worker": 0},
    "evaluation": {"modes": ["single_scale"]},
    "seed": 0,
    "tags": {"purpose": "first look"},
}
_SHORTEST = {"dataset": "digit_scenes", "model": "small", "method": "baseline"}
_BODY = json_body(
    ExperimentSpec,
    {
        "all fields": ("Region rebalance on the built-in data set", EXAMPLE),
        "shortest": ("Only what is required", _SHORTEST),
    },
)
_TAG = re.compile(r"(?P<key>[A-Za-z0-9][A-Za-z0-9_.-]{0,99})(?::(?P<value>.{0,500}))?", re.DOTALL)


Word = Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=700)]


class ExperimentQuery(BaseModel):
    """Parameters of GET /experiments."""

    state: list[State] = Field(default=[], max_length=20)
    method: list[Word] = Field(default=[], max_length=20, description="A kind, such as region_rebalance.")
    dataset: list[Word] = Field(default=[], max_length=20)
    tag: list[Word] = Field(default=[], max_length=20, description="KEY or KEY:VALUE; all must hold.")
    sweep: list[Word] = Field(default=[], max_length=20, description="Id of a sweep: its trials.")
    owner: list[Word] = Field(default=[], max_length=20, description="Name of a token; @me: one's own.")
    project: list[Word] = Field(default=[], max_length=20)
    cursor: str | None = Field(default=None, max_length=500)
    limit: int = Field(default=50, ge=1, le=200)


@router.post(
    "/experiments",
    status_code=HTTPStatus.CREATED,
    openapi_extra=_BODY,
    responses={
        200: {
            "model": ExperimentPreview | ExperimentPublic,
            "description": "What it would be, with validate_only=true; an earlier one, with reuse=true.",
        },
        201: {"headers": LOCATION},
        **documented(*map(HTTPStatus, (400, 408, 409, 413, 415))),
    },
)
def create(
    body: JsonBodyDep,
    store: StoreDep,
    settings: SettingsDep,
    room: RoomDep,
    wake: WakeDep,
    facts: FactsDep,
    queue: QueueDep,
    response: Response,
    idempotency_key: KeyDep,
    machines: MachinesDep,
    owner: OwnerDep,
    validate_only: Annotated[bool, Query(description="Only say what it would be.")] = False,
    reuse: Annotated[
        bool,
        Query(description="Answer with an earlier one of the same spec, code and data, if any."),
    ] = False,
) -> ExperimentPublic | ExperimentPreview:
    """Stores an experiment and queues it. Its spec comes back with every default filled in."""
    document = parse_document(body)
    asked = document_hash(document)
    row = None if validate_only else earlier(store, idempotency_key, asked)
    if row is None:
        spec = parse_spec(document, machines(document))
        if validate_only:
            response.status_code = HTTPStatus.OK
            return experiment_preview(spec, settings)
        refuse_continues(spec)
        if not reuse:
            room()  # first: what has no room costs nothing more
        spec = resolve_spec(
            spec, data_roots=settings.data_roots, storage=settings.layout, most=settings.max_cluster
        )
        same = earlier_same(spec, store, settings)
        if reuse and same is not None:
            response.status_code, row = HTTPStatus.OK, store.get(same)
        else:
            if reuse:
                room()
            new = new_experiment(secrets.token_hex(6), spec, utc_now())
            new = replace(
                new, idempotency_key=idempotency_key, request_hash=asked, owner=owner, sent=text_of(body)
            )
            row = store.create(replace(new, duplicate_of=same), new_tags=spec.tags)
            same_request(row, asked)
            wake()
    response.headers["Location"] = f"/experiments/{row.id}"
    return experiment_public(row, settings, facts, queue)


@router.get("/experiments", responses=documented(HTTPStatus.BAD_REQUEST))
def find(
    query: Annotated[ExperimentQuery, Query()],
    store: StoreDep,
    settings: SettingsDep,
    facts: FactsDep,
    queue: QueueDep,
    me: OwnerDep = None,
) -> Page[ExperimentPublic]:
    """Experiments, newest first."""
    filters = Filters(
        states=query.state,
        methods=query.method,
        datasets=query.dataset,
        tags=[_tag(position, text) for position, text in enumerate(query.tag)],
        sweeps=query.sweep,
        owners=owners_named(query.owner, me),
        projects=query.project,
    )
    rows, next_cursor = store.page(filters, cursor=query.cursor, limit=query.limit)
    if facts.known:
        facts.of(runs_in(settings.layout.mlflow_run(row.id) for row in rows))  # all at once
    items = tuple(experiment_public(row, settings, facts, queue) for row in rows)
    return Page[ExperimentPublic](items=items, next_cursor=next_cursor)


@router.get("/experiments/{experiment_id}", responses=documented(HTTPStatus.NOT_FOUND))
def show(
    experiment_id: str, store: StoreDep, settings: SettingsDep, facts: FactsDep, queue: QueueDep
) -> ExperimentPublic:
    """One experiment."""
    return experiment_public(store.get(experiment_id), settings, facts, queue)


@router.get(
    "/experiments/{experiment_id}/sent",
    response_class=Response,
    responses={**SENT, **documented(HTTPStatus.NOT_FOUND)},
)
def sent(experiment_id: str, store: StoreDep) -> Response:
    """The document that was sent for it, letter by letter; `spec` is what it was taken as."""
    return as_it_came(store.get(experiment_id))


@router.post("/experiments/{experiment_id}/cancel", **CHANGE)
def cancel(experiment_id: str, change: ChangingDep) -> ExperimentPublic:
    """Asks for its end. The state follows when the job has ended; a result that was faster stays.

    A trial of a running sweep reads of it in a file, and its sweep goes on with the others.
    """
    return change.done(change.store.request_cancel(experiment_id, now=utc_now()))


@router.post("/experiments/{experiment_id}/retry", **CHANGE)
def retry(experiment_id: str, change: ChangingDep) -> ExperimentPublic:
    """Queues one that failed or was cancelled again; it resumes from its last checkpoint.

    A trial is detached by it: it gets a job of its own, and its result still counts in its sweep's table.
    """
    store, storage = change.store, change.settings.layout
    return change.done(retry_experiment(store, storage, store.get(experiment_id), utc_now()))


@router.post("/experiments/{experiment_id}/track", **CHANGE)
def track(experiment_id: str, change: ChangingDep) -> ExperimentPublic:
    """Sends all that an experiment that has ended left behind to MLflow again, by a small job.

    What MLflow has already is there once. Asked again while that is under way, nothing is added.
    """
    row = change.store.get(experiment_id)
    return change.done(ask_to_track(change.store, change.settings, row, utc_now()))


def _tag(position: int, text: str) -> tuple[str, str | None]:
    found = _TAG.fullmatch(text)
    if found is None:
        wrong = Problem(f"/query/tag/{position}", f"{text[:80]!r} is refused", "KEY or KEY:VALUE")
        raise BadParameter((wrong,))
    return found["key"], found["value"]
