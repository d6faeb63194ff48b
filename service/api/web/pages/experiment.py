"""One experiment: how it stands, its curves and log, its spec, and what was done with it since."""

from __future__ import annotations

from itertools import chain
from typing import Any

from fastapi import APIRouter, Response
from pydantic import ValidationError

from service.api.again.longer import has_come_to_an_end
from service.api.attempts import attempts_of
from service.api.routes import events, experiments
from service.api.routes.running import attempts
from service.api.routes.trained import checkpoints, evaluations, exports, predictions
from service.api.routes.trained.lists import FollowupQuery
from service.api.web.curves import curves
from service.api.web.differences import differences
from service.api.web.followed import log_tail, ray_page, seconds_left
from service.api.web.here import Here, HereDep
from service.api.web.render import live_answer, live_part, page
from service.reconcile.reconciler import utc_now
from service.reconcile.run_directories import metric_lines
from service.shared.schemas import ExperimentPublic
from service.store.records import Experiment
from trainer.spec.spec import ExperimentSpec

router = APIRouter()

_MOST_EVENTS = 1000
_SHOWN_TAIL = 2000  # bytes of the log on the experiment's own page
_MOST_OF_EACH = FollowupQuery(limit=20)


@router.get("/ui/experiments/{experiment_id}")
def show(experiment_id: str, here: HereDep) -> Response:
    """How it stands, live while it goes on."""
    found = _found(experiment_id, here)
    on, path = not found["state"].ended, f"/ui/experiments/{experiment_id}/live"
    part = live_part(here.request, "experiment_live.html", path, on=on, **found)
    return page(here.request, "experiment.html", live=part, **found, **_trained(experiment_id, here))


@router.get("/ui/experiments/{experiment_id}/live")
def live(experiment_id: str, here: HereDep) -> Response:
    """What changes, where it has changed."""
    found = _found(experiment_id, here)
    return live_answer(
        here.request,
        "experiment_live.html",
        f"/ui/experiments/{experiment_id}/live",
        on=not found["state"].ended,
        changed="experiment_changed.html",
        **found,
    )


@router.get("/ui/experiments/{experiment_id}/log")
def log(experiment_id: str, here: HereDep) -> Response:
    """The end of its log, followed while it goes on."""
    row, path = here.store.get(experiment_id), f"/ui/experiments/{experiment_id}/log/live"
    part = live_part(here.request, "log_live.html", path, on=not row.state.ended, **_log(row, here))
    return page(
        here.request, "log.html", live=part, name=row.name, about=f"experiments/{row.id}", state=row.state
    )


@router.get("/ui/experiments/{experiment_id}/log/live")
def log_live(experiment_id: str, here: HereDep) -> Response:
    """The same, where it has grown."""
    row, path = here.store.get(experiment_id), f"/ui/experiments/{experiment_id}/log/live"
    return live_answer(here.request, "log_live.html", path, on=not row.state.ended, **_log(row, here))


@router.get("/ui/experiments/{experiment_id}/spec")
def spec(experiment_id: str, here: HereDep) -> Response:
    """Its spec as it was sent and as it is stored, what is no default in it, and what is not its recipe's."""
    experiment = _experiment(experiment_id, here)
    sent = here.store.get(experiment_id).sent
    return page(here.request, "spec.html", experiment=experiment, said=_said(experiment.spec), sent=sent)


@router.get("/ui/diff")
def diff(here: HereDep, a: str, b: str) -> Response:
    """In which fields two specs differ."""
    first, second = _experiment(a, here), _experiment(b, here)
    found = tuple(differences(first.spec, second.spec))
    return page(here.request, "diff.html", first=first, second=second, differences=found)


def _experiment(experiment_id: str, here: Here) -> ExperimentPublic:
    return experiments.show(experiment_id, here.store, here.settings, here.facts, here.queue)


def _found(experiment_id: str, here: Here) -> dict[str, Any]:
    experiment, row = _experiment(experiment_id, here), here.store.get(experiment_id)
    every = attempts_of(row, None)
    return {
        "experiment": experiment,
        "state": experiment.state,
        "may_go_on": has_come_to_an_end(row),
        "stream": f"/experiments/{row.id}/events/stream",
        "left": seconds_left(experiment.progress.expected_end if experiment.progress else None, utc_now()),
        "curves": curves(metric_lines(here.settings.layout, row.id, every)),
        "tail": log_tail(_attempts(row, here), _SHOWN_TAIL),
        "attempts": attempts.of_experiment(experiment_id, here.store, cursor=0, limit=_MOST_EVENTS).items,
        "events": events.of_experiment(experiment_id, here.store, cursor=0, limit=_MOST_EVENTS).items,
        "ray": ray_page(row, here.store, here.settings),
    }


def _log(row: Experiment, here: Here) -> dict[str, Any]:
    return {"text": log_tail(_attempts(row, here))}


def _attempts(row: Experiment, here: Here) -> Any:
    return (here.settings.layout.attempt(row.id, each) for each in attempts_of(row, None))


def _trained(experiment_id: str, here: Here) -> dict[str, Any]:
    """What was done with it since, of each kind the newest."""
    store = here.store
    found = {
        "evaluations": evaluations.find(experiment_id, _MOST_OF_EACH, store, here.queue).items,
        "predictions": predictions.find(experiment_id, _MOST_OF_EACH, store, here.queue).items,
        "exports": exports.find(experiment_id, _MOST_OF_EACH, store, here.queue).items,
    }
    modes = dict.fromkeys(chain.from_iterable(each.scores or () for each in found["evaluations"]))
    kept = checkpoints.find(experiment_id, store, here.settings).items
    return {**found, "modes": tuple(modes), "checkpoints": kept}


def _said(stored: dict[str, Any]) -> dict[str, Any] | None:
    """What of a stored spec is not the default; None of one that this release cannot read."""
    try:
        return ExperimentSpec.model_validate(stored).model_dump(mode="json", exclude_defaults=True)
    except ValidationError:
        return None
