"""The form that trains an experiment longer: over the route, as every page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import get_args

from fastapi import APIRouter, Response

from service.api.routes.again import extend
from service.api.web.asked import number_of
from service.api.web.forms import FormDep
from service.api.web.here import Here, HereDep
from service.api.web.render import go_to, page
from trainer.base.errors import Problem, SpecError
from trainer.spec.longer.continues import Rate

router = APIRouter()

_FIELDS = ("iterations", "rate", "learning_rate")


@router.get("/ui/experiments/{experiment_id}/extend")
def form(experiment_id: str, here: HereDep) -> Response:
    """How much longer, and how the rate goes."""
    return _form(here, experiment_id, {})


@router.post("/ui/experiments/{experiment_id}/extend")
def send(experiment_id: str, here: HereDep, sent: FormDep) -> Response:
    """Stores the experiment that goes on and goes to its page; or says what is wrong."""
    said = {name: text for name in _FIELDS if (text := sent.get(name, "").strip())}
    document = {name: text if name == "rate" else number_of(text) for name, text in said.items()}
    try:
        made = extend.extend(
            experiment_id,
            json.dumps(document).encode(),
            store=here.store,
            settings=here.settings,
            room=here.room,
            wake=here.wake,
            facts=here.facts,
            queue=here.queue,
            response=Response(),
            idempotency_key=None,
            owner=here.owner,
        )
    except SpecError as error:
        return _form(here, experiment_id, sent, error.problems)
    return go_to(here.request, f"/ui/experiments/{made.id}")


def _form(
    here: Here, experiment_id: str, given: Mapping[str, str], problems: Sequence[Problem] = ()
) -> Response:
    row = here.store.get(experiment_id)
    return page(
        here.request,
        "extend.html",
        HTTPStatus(422) if problems else HTTPStatus.OK,
        name=row.name,
        stopped=row.stopped,
        place=f"/ui/experiments/{row.id}",
        given={name: given.get(name, "") for name in _FIELDS},
        told=[str(each) for each in problems],
        rates=get_args(Rate),
    )
