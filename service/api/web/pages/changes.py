"""Cancel, retry, pause, resume, delete: each asked for once more before it is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import APIRouter, Response

from service.api.changing import Changing
from service.api.routes import experiments, sweeps
from service.api.routes.keeping import deletions
from service.api.routes.running import pausing
from service.api.routes.trained import followups
from service.api.web.forms import OWN_FORM
from service.api.web.here import Here, HereDep
from service.api.web.render import go_to, page

router = APIRouter()


@dataclass(frozen=True)
class Change:
    """One thing that can be asked for, as a button: what it says, what it asks first, what it then does."""

    of: str  # experiments, sweeps or followups
    verb: str
    question: str
    do: Callable[[str, Here], object]
    then: str | None = None  # the page to go to; None for that of what was changed

    @property
    def path(self) -> str:
        return f"/ui/{self.of}/{{identifier}}/{self.verb}"


def _experiment(route: Callable[[str, Changing], object]) -> Callable[[str, Here], object]:
    """The JSON route's own function, given what it takes."""
    return lambda identifier, here: route(
        identifier, Changing(here.store, here.settings, here.facts, here.queue, here.wake)
    )


def _sweep(route: Callable[..., object]) -> Callable[[str, Here], object]:
    """The same of a sweep's."""
    return lambda identifier, here: route(
        identifier,
        store=here.store,
        settings=here.settings,
        wake=here.wake,
        facts=here.facts,
        queue=here.queue,
    )


CHANGES = (
    Change(
        "experiments",
        "cancel",
        "Cancel this experiment? Its job is told to end; what it has written so far stays.",
        _experiment(experiments.cancel),
    ),
    Change(
        "experiments",
        "pause",
        "Pause this experiment? Its job writes a checkpoint at its next record, and ends for now.",
        _experiment(pausing.pause),
    ),
    Change(
        "experiments",
        "resume",
        "Go on with this experiment? It is queued again, and goes on from its checkpoint.",
        _experiment(pausing.resume),
    ),
    Change(
        "experiments",
        "retry",
        "Queue this experiment again? It goes on from its last checkpoint, as another attempt.",
        _experiment(experiments.retry),
    ),
    Change(
        "sweeps",
        "cancel",
        "Cancel this sweep? Trials that have completed stay; all others are cancelled with it.",
        _sweep(sweeps.cancel),
    ),
    Change(
        "sweeps",
        "pause",
        "Pause this sweep? Trials that run finish; no other is started until it is resumed.",
        _sweep(sweeps.pause),
    ),
    Change("sweeps", "resume", "Resume this sweep? Its trials are started again.", _sweep(sweeps.resume)),
    Change(
        "followups",
        "cancel",
        "Cancel this follow-up? Its job is told to end.",
        lambda identifier, here: followups.cancel(identifier, here.store, here.queue, here.wake),
    ),
    Change(
        "followups",
        "retry",
        "Queue this follow-up again? It begins anew.",
        lambda identifier, here: followups.retry(
            identifier, here.store, here.queue, here.settings, here.wake
        ),
    ),
    Change(
        "experiments",
        "delete",
        "Delete this experiment with its checkpoints, logs and MLflow run? It cannot be undone.",
        lambda identifier, here: deletions.experiment(identifier, here.deletion, artifacts=True),
        then="/ui/experiments",
    ),
    Change(
        "sweeps",
        "delete",
        "Delete this sweep with all its trials, their files and MLflow runs? It cannot be undone.",
        lambda identifier, here: deletions.sweep(identifier, here.deletion, artifacts=True),
        then="/ui/sweeps",
    ),
    Change(
        "followups",
        "delete",
        "Delete this follow-up with what came out of it? It cannot be undone.",
        lambda identifier, here: deletions.followup(identifier, here.deletion, artifacts=True),
        then="/ui/experiments",
    ),
)
_NAMES: dict[str, Callable[[str, Here], str]] = {
    "experiments": lambda identifier, here: here.store.get(identifier).name,
    "sweeps": lambda identifier, here: here.store.sweeps.get(identifier).name or identifier,
    "followups": lambda identifier, here: here.store.followups.get(identifier).name,
}


def question(of: str, verb: str) -> str:
    """What is asked before it is done."""
    return next(each.question for each in CHANGES if (each.of, each.verb) == (of, verb))


def _add(change: Change) -> None:
    def ask(identifier: str, here: HereDep) -> Response:
        name = _NAMES[change.of](identifier, here)
        place = f"/ui/{change.of}/{identifier}"
        return page(here.request, "sure.html", change=change, name=name, place=place)

    def do(identifier: str, here: HereDep) -> Response:
        change.do(identifier, here)
        return go_to(here.request, change.then or f"/ui/{change.of}/{identifier}")

    router.add_api_route(change.path, ask, methods=["GET"])
    router.add_api_route(change.path, do, methods=["POST"], dependencies=[OWN_FORM])


for _each in CHANGES:
    _add(_each)
