"""One evaluation, prediction or export: how it stands, and what came out of it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from service.api.attempts import attempts_of
from service.api.routes import events
from service.api.routes.running import attempts
from service.api.routes.trained import evaluations, followups
from service.api.web.followed import log_tail, ray_page
from service.api.web.here import Here, HereDep
from service.api.web.render import live_answer, live_part, page

router = APIRouter()

_TAIL_BYTES = 8000
_MOST_EVENTS = 1000
_PICTURES = (".png", ".jpg")


@router.get("/ui/followups/{followup_id}")
def show(followup_id: str, here: HereDep) -> Response:
    """How it stands, live while it goes on."""
    found = _found(followup_id, here)
    on, path = not found["state"].ended, f"/ui/followups/{followup_id}/live"
    part = live_part(here.request, "followup_live.html", path, on=on, **found)
    return page(here.request, "followup.html", live=part, **found)


@router.get("/ui/followups/{followup_id}/live")
def live(followup_id: str, here: HereDep) -> Response:
    """What changes, where it has changed."""
    found = _found(followup_id, here)
    on, path = not found["state"].ended, f"/ui/followups/{followup_id}/live"
    return live_answer(
        here.request, "followup_live.html", path, on=on, changed="followup_changed.html", **found
    )


def _found(followup_id: str, here: Here) -> dict[str, Any]:
    followup, row = followups.show(followup_id, here.store, here.queue), here.store.followups.get(followup_id)
    place = here.settings.layout.followup(row.experiment_id, row.id)
    names: tuple[str, ...] = ()
    if row.kind == "evaluation":
        names = evaluations.pictures(row.experiment_id, row.id, here.store, here.settings).items
    return {
        "followup": followup,
        "state": followup.state,
        "stream": f"/followups/{row.id}/events/stream",
        "pictures": tuple(each for each in names if each.endswith(_PICTURES)),
        "tail": log_tail((place.attempt(each) for each in attempts_of(row, None)), _TAIL_BYTES),
        "attempts": attempts.of_followup(followup_id, here.store, cursor=0, limit=_MOST_EVENTS).items,
        "events": events.of_followup(followup_id, here.store, cursor=0, limit=_MOST_EVENTS).items,
        "ray": ray_page(row, here.store, here.settings),
    }
