"""/ui/audit: who asked for which change, for administrators."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Response

from service.api.entry.guard import administrators
from service.api.routes.keeping import audit
from service.api.web.here import HereDep
from service.api.web.lists import following, query_of
from service.api.web.render import page

router = APIRouter(dependencies=[Depends(administrators)])

_PLACES = {"experiment": "/ui/experiments/", "sweep": "/ui/sweeps/", "follow-up": "/ui/followups/"}


@router.get("/ui/audit")
def deeds(here: HereDep) -> Response:
    """Changes, newest first, narrowed."""
    query = query_of(here.request, audit.AuditQuery)
    found = audit.find(query, here.store)
    return page(
        here.request,
        "audit.html",
        found=found,
        query=query,
        following=following(here.request, found.next_cursor),
        places=_PLACES,
    )
