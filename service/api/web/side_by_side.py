"""Pictures that several experiments have labelled, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from service.api.routes.trained.lists import FollowupQuery, followup_page
from service.api.trained.downloads import sha256_of
from service.api.views.waiting import Queue
from service.shared.followup_schemas import FollowupPublic
from service.shared.settings import Settings
from service.shared.states import State
from service.store.experiments import Store

_MOST_EACH = 50  # of an experiment's predictions, the newest


@dataclass
class Labelled:
    """One picture, and by experiment the newest prediction of it."""

    digest: str
    by: dict[str, FollowupPublic] = field(default_factory=dict)


def side_by_side(
    experiments: Sequence[str], store: Store, settings: Settings, queue: Queue
) -> list[Labelled]:
    """Pictures that at least two of the experiments have labelled, those that most of them have first."""
    found: dict[str, Labelled] = {}
    for experiment in experiments:
        query = FollowupQuery(state=[State.COMPLETED], limit=_MOST_EACH)
        for each in followup_page(store, experiment, "prediction", query, queue).items:
            picture = settings.layout.followup(experiment, each.id).picture
            if picture.exists():
                digest = sha256_of(picture)
                found.setdefault(digest, Labelled(digest)).by.setdefault(experiment, each)
    shared = [each for each in found.values() if len(each.by) > 1]
    return sorted(shared, key=lambda each: -len(each.by))
