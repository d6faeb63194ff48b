"""/sweeps: ask for a grid or a search of experiments, follow it, hold it, end it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from service.api.again.longer import refuse_continues
from service.api.again.more import refuse_grown
from service.api.again.same import Lookback
from service.api.again.same_sweep import earlier_same_sweep, with_duplicates
from service.api.bodies import SENT, JsonBodyDep, as_it_came, json_body
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
from service.api.requests import document_hash
from service.api.routes.experiments import Word
from service.api.routes.idempotency import KeyDep, earlier, same_request
from service.api.views.mlflow_facts import RunFacts
from service.api.views.sweeps import sweep_preview, sweep_public
from service.api.views.tracking import runs_in
from service.api.views.waiting import Queue
from service.reconcile.reconciler import utc_now
from service.reconcile.trial_follower import set_pause
from service.shared.schemas import Page
from service.shared.settings import Settings
from service.shared.states import State
from service.shared.sweep_schemas import SweepPreview, SweepPublic
from service.store.experiments import Store
from service.store.new_rows import new_sweep, trial_row
from service.store.records import Filters, Sweep, Tagged
from sweeps.document.cost import cost_of
from sweeps.document.estimate import pixel_seconds, stored_reports
from sweeps.document.expand import Trial, count_trials, expand
from sweeps.document.resolve import resolve_trials
from sweeps.document.spec import MAX_TRIALS, SweepSpec, parse_sweep
from trainer.base.documents import parse_document, text_of

router = APIRouter(tags=["sweeps"])

EXAMPLE: dict[str, Any] = {
    "name": "lambda on digits",
    "base": {
        "dataset": {"name": "digit_scenes"},
        "model": "small",
        "method": {"kind": "region_rebalance"},
        "schedule": {"iterations": 1000},
    },
    "axes": [{"pointer": "/method/lambda", "grid": [0, 0.1, 0.3]}],
    "seeds": [0, 1],
    "metric": "mIoU",
}
_METHODS: dict[str, Any] = {
    "name": "methods on digits",
    "base": {"dataset": "digit_scenes", "model": "small", "method": "baseline"},
    "variants": {
        "baseline": {"kind": "baseline"},
        "balanced softmax": {"kind": "balanced_softmax"},
        "region rebalance": {"kind": "region_rebalance", "lambda": 0.3},
    },
    "seeds": [0, 1, 2],
}
_BODY = json_body(
    SweepSpec,
    {
        "grid": ("Three values of lambda, two seeds each", EXAMPLE),
        "methods": ("Three methods, three seeds each", _METHODS),
    },
)


class SweepQuery(BaseModel):
    """Parameters of GET /sweeps."""

    state: list[State] = Field(default=[], max_length=20)
    owner: list[Word] = Field(default=[], max_length=20, description="Name of a token; @me: one's own.")
    project: list[Word] = Field(default=[], max_length=20)
    cursor: str | None = Field(default=None, max_length=500)
    limit: int = Field(default=50, ge=1, le=200)


@router.post(
    "/sweeps",
    status_code=HTTPStatus.CREATED,
    openapi_extra=_BODY,
    responses={
        200: {
            "model": SweepPreview | SweepPublic,
            "description": "What it would do, with validate_only=true; an earlier one, with reuse=true.",
        },
        201: {"headers": LOCATION},
        **documented(*map(HTTPStatus, (400, 408, 409, 413, 415))),
    },
)
def create(
    body: JsonBodyDep,
    store: StoreDep,
    settings: SettingsDep,
    facts: FactsDep,
    queue: QueueDep,
    room: RoomDep,
    wake: WakeDep,
    response: Response,
    idempotency_key: KeyDep,
    machines: MachinesDep,
    owner: OwnerDep,
    validate_only: Annotated[bool, Query(description="Only list the trials and their cost.")] = False,
    reuse: Annotated[
        bool, Query(description="Answer with an earlier one of the same document, code and data, if any.")
    ] = False,
) -> SweepPublic | SweepPreview:
    """Stores a sweep with all its trials and queues it, as one job. A trial is an ordinary experiment."""
    document = parse_document(body)
    asked = _request_hash(document)
    row = None if validate_only else earlier(store.sweeps, idempotency_key, asked)
    if row is None:
        spec = parse_sweep(document, machines(document.get("base") if isinstance(document, dict) else None))
        refuse_continues(spec.base, "/base/continues")
        refuse_grown(spec)
        if not (reuse or validate_only):
            room()  # first: what has no room costs nothing more
        trials = resolve_trials(
            spec,
            expand(spec),
            data_roots=settings.data_roots,
            storage=settings.layout,
            most=settings.max_cluster,
        )
        if validate_only:
            response.status_code = HTTPStatus.OK
            return _preview(spec, trials, settings)
        lookback = Lookback(store, settings)
        same = earlier_same_sweep(spec, trials, store, lookback)
        if reuse and same is not None:
            response.status_code, row = HTTPStatus.OK, store.sweeps.get(same)
        else:
            if reuse:
                room()
            sizes = [each.spec for each in trials]
            new = new_sweep(spec, now=utc_now(), key=idempotency_key, request_hash=asked, trials=sizes)
            new = replace(new, owner=owner, sent=text_of(body), duplicate_of=same)
            row = store.sweeps.create(new, with_duplicates(_rows(new, spec, trials), lookback))
            same_request(row, asked)
            wake()
    response.headers["Location"] = f"/sweeps/{row.id}"
    return _current(row.id, store, settings, facts, queue, trials=0)


@router.get("/sweeps", responses=documented(HTTPStatus.BAD_REQUEST))
def find(
    query: Annotated[SweepQuery, Query()],
    store: StoreDep,
    settings: SettingsDep,
    facts: FactsDep,
    queue: QueueDep,
    me: OwnerDep = None,
) -> Page[SweepPublic]:
    """Sweeps, newest first."""
    filters = Filters(query.state, owners=owners_named(query.owner, me), projects=query.project)
    rows, next_cursor = store.sweeps.page(filters, cursor=query.cursor, limit=query.limit)
    counted = store.sweeps.counts([row.id for row in rows])
    facts.of(runs_in(settings.layout.sweep(row.id).mlflow for row in rows))  # all at once
    items = tuple(sweep_public(row, store, settings, facts, queue, counted=counted) for row in rows)
    return Page[SweepPublic](items=items, next_cursor=next_cursor)


@router.get("/sweeps/{sweep_id}", responses=documented(HTTPStatus.NOT_FOUND))
def show(
    sweep_id: str,
    store: StoreDep,
    settings: SettingsDep,
    facts: FactsDep,
    queue: QueueDep,
    trials: Annotated[int, Query(ge=0, le=MAX_TRIALS, description="At most so many, by number.")] = 1000,
) -> SweepPublic:
    """One sweep: how far it is, its trials, the best so far."""
    row, counted = store.sweeps.get(sweep_id), store.sweeps.counts([sweep_id])
    return sweep_public(row, store, settings, facts, queue, counted=counted, trials=trials)


@router.get(
    "/sweeps/{sweep_id}/sent",
    response_class=Response,
    responses={**SENT, **documented(HTTPStatus.NOT_FOUND)},
)
def sent(sweep_id: str, store: StoreDep) -> Response:
    """The document that was sent for it, letter by letter; `spec` of the sweep is what it was taken as."""
    return as_it_came(store.sweeps.get(sweep_id))


@router.post("/sweeps/{sweep_id}/cancel", **CHANGE)
def cancel(
    sweep_id: str, store: StoreDep, settings: SettingsDep, facts: FactsDep, queue: QueueDep, wake: WakeDep
) -> SweepPublic:
    """Asks for its end. What has completed stays; its other trials are cancelled with it."""
    store.sweeps.request_cancel(sweep_id, now=utc_now())
    wake()
    return _current(sweep_id, store, settings, facts, queue)


@router.post("/sweeps/{sweep_id}/pause", **CHANGE)
def pause(
    sweep_id: str, store: StoreDep, settings: SettingsDep, facts: FactsDep, queue: QueueDep, wake: WakeDep
) -> SweepPublic:
    """From now on no trial is started; those that run finish."""
    return _hold(sweep_id, store, settings, facts, queue, wake, paused=True)


@router.post("/sweeps/{sweep_id}/resume", **CHANGE)
def resume(
    sweep_id: str, store: StoreDep, settings: SettingsDep, facts: FactsDep, queue: QueueDep, wake: WakeDep
) -> SweepPublic:
    """Trials are started again."""
    return _hold(sweep_id, store, settings, facts, queue, wake, paused=False)


def _hold(
    sweep_id: str,
    store: Store,
    settings: Settings,
    facts: RunFacts,
    queue: Queue,
    wake: WakeDep,
    *,
    paused: bool,
) -> SweepPublic:
    store.sweeps.pause(sweep_id, paused=paused, now=utc_now())
    with suppress(OSError):  # the reconciler does it when storage is back
        set_pause(settings.layout, sweep_id, paused=paused)
    wake()
    return _current(sweep_id, store, settings, facts, queue)


def _current(
    sweep_id: str,
    store: Store,
    settings: Settings,
    facts: RunFacts,
    queue: Queue,
    *,
    trials: int | None = None,
) -> SweepPublic:
    row = store.sweeps.get(sweep_id)
    return sweep_public(
        row, store, settings, facts, queue, counted=store.sweeps.counts([sweep_id]), trials=trials
    )


def _rows(new: Sweep, spec: SweepSpec, trials: Sequence[Trial]) -> list[Tagged]:
    """What optuna draws is known only when it has drawn it: see service/reconcile/trial_follower.py."""
    known = trials if spec.search != "optuna" else ()
    return [
        (trial_row(new, each.number, each.row, each.spec, new.created_at), each.spec.tags) for each in known
    ]


def _request_hash(document: object) -> str:
    """Blanks and order of keys aside, but for the variants: the first is the reference of the table."""
    variants = document.get("variants") if isinstance(document, dict) else None
    return document_hash([document, list(variants) if isinstance(variants, dict) else None])


def _preview(spec: SweepSpec, trials: tuple[Trial, ...], settings: Settings) -> SweepPreview:
    measured = pixel_seconds(stored_reports(settings.layout))
    cost = cost_of([each.spec for each in trials], trials=count_trials(spec), pixel_seconds=measured)
    return sweep_preview(spec, trials, cost)
