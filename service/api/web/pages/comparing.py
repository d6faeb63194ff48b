"""/ui/compare: what chosen experiments have scored, and how they have labelled the same pictures."""

from __future__ import annotations

from itertools import chain

from fastapi import APIRouter, Response

from service.api.routes import comparisons, experiments
from service.api.web.here import HereDep
from service.api.web.render import page
from service.api.web.side_by_side import side_by_side
from service.shared.schemas import ExperimentPublic

router = APIRouter()


@router.get("/ui/compare")
def compare(here: HereDep, mode: str | None = None) -> Response:
    """The comparison of the experiments that the address names as `id`; the first is the reference."""
    ids = list(dict.fromkeys(each for each in here.request.query_params.getlist("id") if each))
    if not ids:
        return page(here.request, "compare_none.html")
    found = comparisons.compare(",".join(ids), here.store, here.settings, mode)
    shown = [experiments.show(each, here.store, here.settings, here.facts, here.queue) for each in ids]
    modes = dict.fromkeys(chain.from_iterable(_modes(each) for each in shown))
    return page(
        here.request,
        "compare.html",
        found=found,
        experiments=shown,
        modes=tuple(modes),
        pictures=side_by_side(ids, here.store, here.settings, here.queue),
    )


def _modes(experiment: ExperimentPublic) -> list[str]:
    """Names of the ways in which it was scored; one of its own has its name within."""
    given = experiment.spec.get("evaluation", {}).get("modes", ())
    return [each if isinstance(each, str) else str(each.get("name")) for each in given]
