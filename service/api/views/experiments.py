"""From what is stored to what is shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from service.api.views.mlflow_facts import RunFacts
from service.api.views.tracking import mlflow_page, tracking_public
from service.api.views.waiting import Queue
from service.reconcile import run_directories
from service.shared.schemas import (
    ErrorPublic,
    EventPublic,
    ExperimentPublic,
    Headline,
    Links,
    NoticePublic,
    OverridePublic,
    Progress,
    QueuedPublic,
    TrialOf,
)
from service.shared.settings import Settings
from service.shared.states import State
from service.store.records import Event, Experiment, JobRow
from trainer.spec.recipes import overrides_of
from trainer.storage.tracking import CODE

NOBODY_ASKED = RunFacts(None)
_SPECS = 1000  # some pages of a list: who looks at one looks again …
_USUAL = 8000  # … characters at most: a model of one's own may have a thousand times as many


def experiment_public(
    row: Experiment, settings: Settings, facts: RunFacts = NOBODY_ASKED, queue: Queue | None = None
) -> ExperimentPublic:
    """The experiment as clients see it; while it runs, its progress is read from its run directory.

    `queue` knows why it waits; None: that is not said.
    """
    spec, overrides = shown_spec(row.spec)
    progress = row.progress
    if row.state is State.RUNNING:
        progress = run_directories.progress_of(
            settings.layout, row.id, row.attempt, spec["schedule"]["iterations"]
        )
    return ExperimentPublic(
        id=row.id,
        name=row.name,
        state=row.state,
        attempt=row.attempt,
        spec=spec,
        overrides=overrides,
        created_at=row.created_at,
        updated_at=row.updated_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        cancel_requested_at=row.cancel_requested_at,
        pause_requested_at=row.pause_requested_at,
        error=error_public(row),
        headline=Headline(**row.headline) if row.headline else None,
        progress=Progress(**progress) if progress else None,
        waiting=queue.of_experiment(row) if queue else None,
        queue=queued_public(row),
        mlflow_run_id=row.mlflow_run_id,
        # Of MLflow only what is so now: see `tracking`. Events have what was.
        notices=tuple(each for each in notices_public(row) if each.code != CODE),
        tracking=tracking_public(row, settings, facts),
        sweep=_trial_of(row),
        continues=row.continues,
        duplicate_of=row.duplicate_of,
        links=_links(row, settings, facts),
    )


def shown_spec(text: str) -> tuple[dict[str, Any], tuple[OverridePublic, ...]]:
    """A stored spec as a document, which nobody may change, and in what it is not its recipe's."""
    return _kept_spec(text) if len(text) <= _USUAL else _read_spec(text)


def _read_spec(text: str) -> tuple[dict[str, Any], tuple[OverridePublic, ...]]:
    spec: dict[str, Any] = json.loads(text)
    return spec, overrides_public(spec)


_kept_spec = lru_cache(maxsize=_SPECS)(_read_spec)


def queued_public(row: JobRow) -> QueuedPublic:
    """Whose it is, and how it stands with the queue."""
    return QueuedPublic(
        owner=row.owner,
        project=row.project,
        priority=row.priority,
        queued_at=row.queued_at,
        admitted_at=row.admitted_at,
        preemptions=row.preemptions,
    )


def overrides_public(spec: Mapping[str, Any]) -> tuple[OverridePublic, ...]:
    """In what a stored spec is not its recipe's."""
    return tuple(
        OverridePublic(pointer=each.pointer, recipe=each.recipe, spec=each.spec, text=str(each))
        for each in overrides_of(spec)
    )


def event_public(event: Event) -> EventPublic:
    """The event as clients see it."""
    return EventPublic(
        at=event.at,
        attempt=event.attempt,
        from_state=event.from_state,
        to_state=event.to_state,
        reason=event.reason,
    )


def _links(row: Experiment, settings: Settings, facts: RunFacts) -> Links:
    here = f"/experiments/{row.id}"
    asked = ("cancel", "retry", "track", "pause", "resume", "extend")
    names = ("events", "attempts", "logs", "metrics", "report", *asked)
    sweep = f"/sweeps/{row.sweep_id}" if row.sweep_id else None
    mlflow = mlflow_page(row, settings, lambda: settings.layout.mlflow_run(row.id), facts)
    return Links(self=here, **{name: f"{here}/{name}" for name in names}, sweep=sweep, mlflow=mlflow)


def _trial_of(row: Experiment) -> TrialOf | None:
    if row.sweep_id is None or row.trial is None:
        return None
    return TrialOf(id=row.sweep_id, trial=row.trial, row=row.trial_row or "", detached=row.detached)


def notices_public(row: JobRow) -> tuple[NoticePublic, ...]:
    """What was noticed of it."""
    return tuple(NoticePublic(**each) for each in row.notices or ())


def error_public(row: JobRow) -> ErrorPublic | None:
    """Why it failed, if it did."""
    return ErrorPublic(type=row.error_type, message=row.error_message or "") if row.error_type else None
