"""An experiment's follow-ups of one kind: which there are, and whether one is among them."""

from __future__ import annotations

from pydantic import BaseModel, Field

from service.api.views.followups import followup_public
from service.api.views.waiting import Queue
from service.shared.followup_schemas import FollowupPublic
from service.shared.schemas import Page
from service.shared.states import State
from service.store.experiments import Store
from service.store.records import Followup, UnknownFollowup
from trainer.spec.followups import FollowupKind


class FollowupQuery(BaseModel):
    """Parameters of the lists."""

    state: list[State] = Field(default=[], max_length=20)
    cursor: str | None = Field(default=None, max_length=500)
    limit: int = Field(default=50, ge=1, le=200)


def followup_page(
    store: Store, experiment: str, kind: FollowupKind, query: FollowupQuery, queue: Queue
) -> Page[FollowupPublic]:
    """One page, newest first.

    Raises:
        UnknownExperiment: there is none of this id.
        BadCursor: it is not from this list.
    """
    store.get(experiment)
    rows, following = store.followups.page(
        experiment, kind, query.state, cursor=query.cursor, limit=query.limit
    )
    return Page[FollowupPublic](
        items=tuple(followup_public(row, queue) for row in rows), next_cursor=following
    )


def followup_there(store: Store, experiment: str, kind: FollowupKind, followup: str) -> Followup:
    """The follow-up, if it is this experiment's and of this kind.

    Raises:
        UnknownExperiment: there is none of this id.
        UnknownFollowup: it has none of this id and kind.
    """
    store.get(experiment)
    row = store.followups.get(followup)
    if (row.experiment_id, row.kind) != (experiment, kind):
        raise UnknownFollowup(followup)
    return row
