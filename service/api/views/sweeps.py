"""Sweeps, from what is stored to what is shown."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

from service.api.views.experiments import error_public, notices_public, queued_public
from service.api.views.mlflow_facts import RunFacts
from service.api.views.tracking import mlflow_page
from service.api.views.waiting import Queue
from service.reconcile import run_directories
from service.reconcile.reconciler import utc_now
from service.shared.schemas import Progress
from service.shared.settings import Settings
from service.shared.states import State
from service.shared.sweep_schemas import (
    SweepLinks,
    SweepPreview,
    SweepPublic,
    TrialCounts,
    TrialPreview,
    TrialPublic,
)
from service.store.experiments import Store
from service.store.records import Experiment, StateCount, Sweep
from sweeps.document.cost import Cost
from sweeps.document.expand import Trial, count_trials, num_draws
from sweeps.document.spec import SweepSpec
from trainer.base.ends import End

_MOST_RUNNING = 20


def sweep_public(
    row: Sweep,
    store: Store,
    settings: Settings,
    facts: RunFacts,
    queue: Queue | None = None,
    *,
    counted: Sequence[StateCount],
    trials: int | None = None,
) -> SweepPublic:
    """The sweep as clients see it, with at most so many `trials`; None for none, as in lists.

    Args:
        queue: knows why it waits; None: that is not said.
        counted: its trials by state, see `SweepStore.counts`.
    """
    spec = SweepSpec.model_validate_json(row.spec)
    best = store.sweeps.best(row.id, spec.metric, spec.direction)
    busy = [] if row.state.ended else store.trials(row.id, states=[State.RUNNING], limit=_MOST_RUNNING)
    listed = store.trials(row.id, limit=trials) if trials else []
    counts = _counts(row, spec, counted)
    return SweepPublic(
        id=row.id,
        name=row.name,
        state=row.state,
        paused=row.paused or (not row.state.ended and settings.layout.sweep(row.id).pause.exists()),
        attempt=row.attempt,
        spec=json.loads(row.spec),
        created_at=row.created_at,
        updated_at=row.updated_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        expected_end=_expected_end(row, counts, utc_now()),
        cancel_requested_at=row.cancel_requested_at,
        error=error_public(row),
        waiting=queue.of_sweep(row) if queue else None,
        queue=queued_public(row),
        counts=counts,
        best=trial_public(best, spec, settings) if best else None,
        running=tuple(trial_public(each, spec, settings) for each in busy),
        trials=None if trials is None else tuple(trial_public(each, spec, settings) for each in listed),
        mlflow_run_id=row.mlflow_run_id,
        duplicate_of=row.duplicate_of,
        notices=notices_public(row),
        links=_links(row, settings, facts),
    )


def _expected_end(row: Sweep, counts: TrialCounts, now: datetime) -> datetime | None:
    """When its last trial would have ended, if the rest go as those that have ended; None where none has."""
    ended = counts.total - counts.waiting - counts.running
    if row.state is not State.RUNNING or row.paused or row.started_at is None or ended < 1:
        return None
    return now + (now - row.started_at) / ended * (counts.total - ended)


def trial_public(row: Experiment, sweep: SweepSpec, settings: Settings) -> TrialPublic:
    """One line about a trial; while it runs, its progress is read from its run directory."""
    spec = json.loads(row.spec)
    progress = row.progress
    if row.state is State.RUNNING:
        progress = run_directories.progress_of(
            settings.layout, row.id, row.attempt, spec["schedule"]["iterations"]
        )
    return TrialPublic(
        number=row.trial or 0,
        experiment=row.id,
        row=row.trial_row or "",
        seed=spec["seed"],
        state=row.state,
        stopped=row.stopped,
        detached=row.detached,
        value=(row.headline or {}).get(sweep.metric),
        progress=Progress(**progress) if progress else None,
        cancel_requested_at=row.cancel_requested_at,
        error=error_public(row),
        duplicate_of=row.duplicate_of,
    )


def sweep_preview(spec: SweepSpec, trials: Sequence[Trial], cost: Cost) -> SweepPreview:
    """What a sweep would do. Trials of optuna are only such as it may draw: they are not listed."""
    listed = trials if spec.search != "optuna" else ()
    return SweepPreview(
        trials=tuple(_trial_preview(each) for each in listed), cost=cost, notes=tuple(_preview_notes(spec))
    )


def _preview_notes(spec: SweepSpec) -> Iterator[str]:
    asked, draws = spec.limits.trials, num_draws(spec)
    if spec.search != "grid" and asked is not None and draws < asked:
        yield f"/limits/trials: {draws}, not {asked}: the axes have no more settings, and each is run once"
    if spec.search == "optuna":
        yield "optuna draws its trials as it goes, so none are listed"


def _trial_preview(trial: Trial) -> TrialPreview:
    """A trial that nobody has stored."""
    return TrialPreview(
        number=trial.number,
        name=trial.spec.name,
        row=trial.row,
        seed=trial.spec.seed,
        variant=trial.variant,
        settings=dict(trial.settings),
    )


def _counts(row: Sweep, spec: SweepSpec, counted: Sequence[StateCount]) -> TrialCounts:
    numbers: Counter[str] = Counter()
    for each in counted:
        if each.sweep_id == row.id:
            numbers[End.STOPPED if each.stopped else _word(each.state)] += each.number
    known = numbers.total()
    total = known if row.state.ended or spec.search != "optuna" else max(known, count_trials(spec))
    numbers["waiting"] += total - known
    return TrialCounts(total=total, **numbers)


def _word(state: State) -> str:
    """A trial that its sweep has taken up waits until there is room for it."""
    return "waiting" if state in (State.QUEUED, State.SUBMITTED) else str(state)


def _links(row: Sweep, settings: Settings, facts: RunFacts) -> SweepLinks:
    here = f"/sweeps/{row.id}"
    names = ("events", "attempts", "table", "cancel", "pause", "resume", "extend", "track")
    return SweepLinks(
        self=here,
        **{name: f"{here}/{name}" for name in names},
        experiments=f"/experiments?sweep={row.id}",
        mlflow=mlflow_page(row, settings, lambda: settings.layout.sweep(row.id).mlflow, facts),
    )
