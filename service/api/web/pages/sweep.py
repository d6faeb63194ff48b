"""One sweep: its trials, its table so far, and how it goes on."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from service.api.attempts import attempts_of
from service.api.routes import events, sweeps
from service.api.routes.running import attempts
from service.api.web.followed import log_tail, ray_page, seconds_left
from service.api.web.here import Here, HereDep
from service.api.web.render import live_answer, live_part, page
from service.reconcile.reconciler import utc_now
from sweeps.results.formats import class_grid, classes_elsewhere, score_grid
from sweeps.results.table import Table

router = APIRouter()

_MOST_TRIALS = 200  # on the page; the list has all
_MOST_EVENTS = 1000
_TAIL_BYTES = 2000


@router.get("/ui/sweeps/{sweep_id}")
def show(sweep_id: str, here: HereDep) -> Response:
    """How it stands, live while it goes on."""
    found = _found(sweep_id, here)
    on, path = not found["sweep"].state.ended, f"/ui/sweeps/{sweep_id}/live"
    part = live_part(here.request, "sweep_live.html", path, on=on, **found)
    return page(here.request, "sweep.html", live=part, **found)


@router.get("/ui/sweeps/{sweep_id}/live")
def live(sweep_id: str, here: HereDep) -> Response:
    """What changes, where it has changed."""
    found = _found(sweep_id, here)
    on, path = not found["sweep"].state.ended, f"/ui/sweeps/{sweep_id}/live"
    return live_answer(here.request, "sweep_live.html", path, on=on, changed="sweep_changed.html", **found)


@router.get("/ui/sweeps/{sweep_id}/spec")
def spec(sweep_id: str, here: HereDep) -> Response:
    """Its document as it was sent and as it is stored."""
    found = sweeps.show(sweep_id, here.store, here.settings, here.facts, here.queue, trials=0)
    sent = here.store.sweeps.get(sweep_id).sent
    return page(here.request, "sweep_spec.html", sweep=found, sent=sent)


def _found(sweep_id: str, here: Here) -> dict[str, Any]:
    sweep = sweeps.show(sweep_id, here.store, here.settings, here.facts, here.queue, trials=_MOST_TRIALS)
    row = here.store.sweeps.get(sweep_id)
    folder = here.settings.layout.sweep(sweep_id)
    table = here.tables.table(row, here.store.trials(sweep_id), here.settings.layout)
    return {
        "sweep": sweep,
        "state": "paused" if sweep.paused and not sweep.state.ended else sweep.state,
        "stream": f"/sweeps/{row.id}/events/stream",
        "left": seconds_left(sweep.expected_end, utc_now()),
        "table": table,
        "grids": _grids(table),
        "tail": log_tail((folder.attempt(each) for each in attempts_of(row, None)), _TAIL_BYTES),
        "attempts": attempts.of_sweep(sweep_id, here.store, cursor=0, limit=_MOST_EVENTS).items,
        "events": events.of_sweep(sweep_id, here.store, cursor=0, limit=_MOST_EVENTS).items,
        "ray": ray_page(row, here.store, here.settings),
        "most_trials": _MOST_TRIALS,
    }


def _grids(table: Table) -> list[dict[str, Any]]:
    """By mode of evaluation, the very cells that the table has as text."""
    return [
        {
            "mode": block.mode,
            "scores": score_grid(table, block),
            "classes": class_grid(table, block),
            "elsewhere": classes_elsewhere(block),
        }
        for block in table.blocks
    ]
