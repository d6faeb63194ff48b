"""/ui/queue: what waits, in order, and why; for administrators also who holds what."""

from __future__ import annotations

from fastapi import APIRouter, Response

from service.api.web.here import HereDep, caller_of
from service.api.web.render import page
from service.reconcile.reconciler import utc_now
from service.shared.queue.schemas import AmountPublic
from service.shared.tokens import Scope
from trainer.base.schema_words import counted
from trainer.spec.resources import priority_name

router = APIRouter()

_FIRST = 200
_PLACES = {"experiment": "/ui/experiments/", "sweep": "/ui/sweeps/", "followup": "/ui/followups/"}


@router.get("/ui/queue")
def queue(here: HereDep) -> Response:
    """The first of those that wait."""
    caller, now = caller_of(here.request), utc_now()
    may_see = not here.settings.closed if caller is None else caller.scope.includes(Scope.ADMIN)
    return page(
        here.request,
        "queue.html",
        found=here.whole_queue.queue(now, limit=_FIRST),
        accounts=here.whole_queue.accounts(now) if may_see else None,
        places=_PLACES,
        named=priority_name,
        asked=_asked,
    )


def _asked(asks: AmountPublic) -> str:
    pairs = ((asks.gpus, "GPU"), (asks.cpus, "CPU"))
    return ", ".join(counted(number, kind) for number, kind in pairs if number) or "–"
