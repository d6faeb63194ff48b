"""Follow-ups and checkpoints, from what is stored to what is shown."""

from __future__ import annotations

import json
from typing import Any

from service.api.views.experiments import error_public, notices_public, queued_public
from service.api.views.waiting import Queue
from service.shared.followup_schemas import CheckpointPublic, FollowupLinks, FollowupPublic, ScorePublic
from service.shared.schemas import Headline
from service.store.records import Followup
from trainer.spec.followups import FollowupKind
from trainer.storage.checkpoints import StoredCheckpoint

PLACES: dict[FollowupKind, str] = {
    "evaluation": "evaluations",
    "prediction": "predictions",
    "export": "exports",
}


def followup_public(row: Followup, queue: Queue | None = None) -> FollowupPublic:
    """The follow-up as clients see it; `queue` knows why it waits, None: that is not said."""
    return FollowupPublic(
        id=row.id,
        kind=row.kind,
        experiment=row.experiment_id,
        state=row.state,
        attempt=row.attempt,
        request=_request(row),
        created_at=row.created_at,
        updated_at=row.updated_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        cancel_requested_at=row.cancel_requested_at,
        error=error_public(row),
        waiting=queue.of_followup(row) if queue else None,
        queue=queued_public(row),
        scores={mode: Headline(**each) for mode, each in row.headline.items()} if row.headline else None,
        notices=notices_public(row),
        links=_links(row),
    )


def place_of(row: Followup) -> str:
    """Where it is, and what came out of it, relative to the API."""
    return f"/experiments/{row.experiment_id}/{PLACES[row.kind]}/{row.id}"


def checkpoint_public(experiment: str, found: StoredCheckpoint) -> CheckpointPublic:
    """The checkpoint as clients see it."""
    score = found.score
    return CheckpointPublic(
        name=found.name,
        iteration=found.iteration,
        bytes=found.bytes,
        score=None if score is None else ScorePublic(name=score.name, value=score.value, mode=score.mode),
        best=found.best,
        written_at=found.written_at,
        download=f"/experiments/{experiment}/checkpoints/{found.name}",
    )


def _request(row: Followup) -> dict[str, Any]:
    request: dict[str, Any] = json.loads(row.spec)
    del request["kind"]  # beside it
    return request


def _links(row: Followup) -> FollowupLinks:
    here, life = place_of(row), f"/followups/{row.id}"
    return FollowupLinks(
        self=here,
        experiment=f"/experiments/{row.experiment_id}",
        **{name: f"{life}/{name}" for name in ("events", "logs", "report", "cancel", "retry")},
        pictures=f"{here}/pictures" if row.kind == "evaluation" else None,
        files=f"{here}/files" if row.kind == "export" else None,
    )
