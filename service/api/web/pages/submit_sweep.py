"""/ui/submit/sweep: the form of a sweep, with what is wrong at the field that it is in."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, get_args

from fastapi import APIRouter, Response

from service.api.routes import sweeps
from service.api.web.asked import CHECK, DOCUMENT, REFUSALS, by_field, told_of
from service.api.web.asked_sweep import LINES, NAMES, asked_for_sweep, pointers_of
from service.api.web.choices import choices
from service.api.web.forms import ONCE, FormDep, once
from service.api.web.here import Here, HereDep
from service.api.web.render import go_to, page
from service.shared.sweep_schemas import SweepPreview, SweepPublic
from sweeps.document.estimate import cost_line
from trainer.base.errors import Problem
from trainer.spec.evaluation import ScoreName

router = APIRouter()

_MOST_TRIALS = 200  # on the page


@router.get("/ui/submit/sweep")
def form(here: HereDep) -> Response:
    """The form, empty; filled with what the address has, and with the document of the sweep `like`."""
    given = {name: here.request.query_params.get(name, "") for name in (*NAMES, DOCUMENT)}
    like = here.request.query_params.get("like")
    if like:
        spec = json.loads(here.store.sweeps.get(like).spec)
        spec.pop("grown", None)  # extend alone writes it
        given[DOCUMENT] = json.dumps(spec, ensure_ascii=False, indent=2)
    return _form(here, given)


@router.post("/ui/submit/sweep")
def send(here: HereDep, sent: FormDep) -> Response:
    """Stores the sweep and goes to its page; or lists the trials it would have, or says what is wrong."""
    asked = asked_for_sweep(sent)
    if asked.problems:
        return _form(here, sent, problems=asked.problems)
    try:
        made = _create(here, asked.document, sent)
    except REFUSALS as error:
        return _form(here, sent, problems=told_of(error))
    if isinstance(made, SweepPreview):
        return _form(here, sent, preview=made)
    return go_to(here.request, f"/ui/sweeps/{made.id}")


def _create(here: Here, document: dict[str, Any], sent: Mapping[str, str]) -> SweepPublic | SweepPreview:
    """As POST /sweeps does. Sent again as it is, a form stores nothing more; changed, it does."""
    return sweeps.create(
        json.dumps(document).encode(),
        here.store,
        here.settings,
        here.facts,
        here.queue,
        here.room,
        here.wake,
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
    preview: SweepPreview | None = None,
) -> Response:
    told = by_field(problems, pointers_of(given))
    return page(
        here.request,
        "submit_sweep.html",
        HTTPStatus(422) if problems else HTTPStatus.OK,
        given={name: given.get(name, "") for name in (*NAMES, DOCUMENT)},
        once=given.get(ONCE) or secrets.token_urlsafe(16),
        told={name: told[name] for name in (*NAMES, DOCUMENT) if name in told},
        preview=preview,
        cost=None if preview is None else cost_line(preview.cost, None),
        most_trials=_MOST_TRIALS,
        lines=LINES,
        **choices(),
        metrics=[(name, name) for name in get_args(ScoreName)],
    )
