"""/ and the lists: what the service is doing, and everything that it has."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request, Response

from service.api.dependencies import PartsDep
from service.api.entry.sessions import HOME, TOKEN_COOKIE
from service.api.requests import InvalidToken
from service.api.routes import experiments, health, sweeps
from service.api.web.errors import login_page
from service.api.web.here import Here, HereDep, caller_of
from service.api.web.lists import following, query_of
from service.api.web.render import go_to, live_answer, live_part, page
from service.shared.states import State
from trainer.spec.data.datasets import DATASETS
from trainer.spec.methods import METHODS

router = APIRouter()

_FIRST_EXPERIMENTS, _FIRST_SWEEPS = 50, 10
_LIVE = "/ui/overview/live"


@router.get("/")
def home(here: HereDep) -> Response:
    """What goes on, newest first; the form to log in where tokens are asked for and none was shown."""
    if here.settings.closed and caller_of(here.request) is None:
        ended = TOKEN_COOKIE in here.request.cookies
        why = InvalidToken("you were logged out: the token does not count any more") if ended else None
        shown = login_page(here.request, HOME, why)
        shown.status_code = 200
        return shown
    part = live_part(here.request, "overview_live.html", _LIVE, on=True, **_overview(here))
    return page(here.request, "overview.html", live=part)


@router.get("/ui")
def below(request: Request) -> Response:
    """The same, under the name that all pages begin with."""
    return go_to(request, HOME)


@router.get(_LIVE)
def live(here: HereDep) -> Response:
    """Its tables, where something has changed."""
    return live_answer(here.request, "overview_live.html", _LIVE, on=True, **_overview(here))


def _overview(here: Here) -> dict[str, Any]:
    found = experiments.find(
        experiments.ExperimentQuery(limit=_FIRST_EXPERIMENTS),
        here.store,
        here.settings,
        here.facts,
        here.queue,
    )
    grids = sweeps.find(
        sweeps.SweepQuery(limit=_FIRST_SWEEPS), here.store, here.settings, here.facts, here.queue
    )
    return {"experiments": found, "sweeps": grids}


@router.get("/ui/experiments")
def list_experiments(here: HereDep) -> Response:
    """Experiments, newest first, narrowed and chosen."""
    query = query_of(here.request, experiments.ExperimentQuery)
    found = experiments.find(query, here.store, here.settings, here.facts, here.queue, here.owner)
    return page(
        here.request,
        "experiments.html",
        experiments=found,
        query=query,
        following=following(here.request, found.next_cursor),
        states=tuple(State),
        methods=tuple(METHODS),
        datasets=tuple(DATASETS),
    )


@router.get("/ui/sweeps")
def list_sweeps(here: HereDep) -> Response:
    """Sweeps, newest first."""
    query = query_of(here.request, sweeps.SweepQuery)
    found = sweeps.find(query, here.store, here.settings, here.facts, here.queue, here.owner)
    return page(
        here.request,
        "sweeps.html",
        sweeps=found,
        query=query,
        following=following(here.request, found.next_cursor),
        states=tuple(State),
    )


@router.get("/ui/status")
def status(here: HereDep, parts: PartsDep) -> Response:
    """What /readyz says, part by part."""
    answer = health.readyz(here.request, here.store, parts, here.settings, here.reconciler, here.whole_queue)
    return page(here.request, "status.html", found=json.loads(bytes(answer.body)), settings=here.settings)
