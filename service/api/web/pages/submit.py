"""/ui/submit: the form of an experiment, with what is wrong at the field that it is in."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Response

from service.api.routes import experiments
from service.api.web.asked import CHECK, DOCUMENT, POINTERS, REFUSALS, asked_for, by_field, told_of
from service.api.web.choices import choices
from service.api.web.forms import ONCE, FormDep, once
from service.api.web.here import Here, HereDep
from service.api.web.render import go_to, page
from service.shared.schemas import ExperimentPreview, ExperimentPublic
from trainer.base.errors import Problem

router = APIRouter()


@router.get("/ui/submit")
def form(here: HereDep) -> Response:
    """The form, empty; filled with what the address has, and with the spec of the experiment `like`."""
    given = {name: here.request.query_params.get(name, "") for name in (*POINTERS, DOCUMENT)}
    like = here.request.query_params.get("like")
    if like:
        spec = experiments.show(like, here.store, here.settings, here.facts, here.queue).spec
        own = {name: value for name, value in spec.items() if name != "continues"}  # extend alone writes it
        given[DOCUMENT] = json.dumps(own, ensure_ascii=False, indent=2)
    return _form(here, given)


@router.post("/ui/submit")
def send(here: HereDep, sent: FormDep) -> Response:
    """Stores the experiment and goes to its page; or says what it would be, or what is wrong."""
    asked = asked_for(sent)
    if asked.problems:
        return _form(here, sent, problems=asked.problems)
    try:
        made = _create(here, asked.document, sent)
    except REFUSALS as error:
        return _form(here, sent, problems=told_of(error))
    if isinstance(made, ExperimentPreview):
        problems = [Problem(each.pointer, each.got, each.allowed) for each in made.problems]
        return _form(here, sent, problems=problems, preview=made)
    return go_to(here.request, f"/ui/experiments/{made.id}")


def _create(
    here: Here, document: dict[str, Any], sent: Mapping[str, str]
) -> ExperimentPublic | ExperimentPreview:
    """As POST /experiments does. Sent again as it is, a form stores nothing more; changed, it does."""
    return experiments.create(
        json.dumps(document).encode(),
        here.store,
        here.settings,
        here.room,
        here.wake,
        here.facts,
        here.queue,
        Response(),
        once(sent, document),
        here.machines,
        here.owner,
        validate_only=CHECK in sent,
    )


def _form(
    here: Here,
    given: Mapping[str, str],
    *,
    problems: Sequence[Problem] = (),
    preview: ExperimentPreview | None = None,
) -> Response:
    told = by_field(problems)
    status = HTTPStatus(422) if problems and preview is None else HTTPStatus.OK
    return page(
        here.request,
        "submit.html",
        status,
        given={name: given.get(name, "") for name in (*POINTERS, DOCUMENT)},
        once=given.get(ONCE) or secrets.token_urlsafe(16),
        told={name: told[name] for name in (*POINTERS, DOCUMENT) if name in told},
        preview=preview,
        **choices(),
    )
