"""More trials of a sweep that has come to its end: from what is asked to what can be stored."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime

from service.shared.queue.demands import demand_of_sweep
from service.shared.settings import Settings
from service.shared.states import State
from service.store.new_rows import trial_row
from service.store.records import Conflict, Sweep, Tagged
from sweeps.document.expand import Trial, count_trials, expand
from sweeps.document.resolve import resolve_trials
from sweeps.document.same import sweep_hash
from sweeps.document.spec import SweepSpec, parse_sweep
from sweeps.document.stages import SweepExtension, asked_at, extended
from trainer.base.errors import Problem, SpecError
from trainer.base.schema_words import counted
from trainer.storage.layout import Storage


@dataclass(frozen=True)
class Grown:
    """A sweep's row as it is to become, and its new trials; of optuna none, which draws them as it goes."""

    row: Sweep
    trials: tuple[Tagged, ...]
    reason: str


def grown_sweep(row: Sweep, asked: SweepExtension, settings: Settings, now: datetime) -> Grown:
    """What is to be stored for the extension of `row`; nothing is yet.

    Raises:
        Conflict: it has not completed; with what to do instead.
        SpecError: what is asked cannot be; problems stand at their place in what was asked.
    """
    _refuse_state(row)
    old = SweepSpec.model_validate_json(row.spec)
    try:
        spec = parse_sweep(json.loads(extended(old, asked).model_dump_json()))
        if count_trials(spec) == count_trials(old):
            raise SpecError((Problem("/trials", "adds none: each setting is run once", "more settings"),))
        trials = expand(spec)
        new = _new_of(old, trials)
        resolved = resolve_trials(
            spec, new, data_roots=settings.data_roots, storage=settings.layout, most=settings.max_cluster
        )
    except SpecError as error:
        raise SpecError(tuple(asked_at(each, old) for each in error.problems)) from None
    demand = demand_of_sweep(spec, [each.spec for each in trials])
    taken = {name: demand[name] for name in ("gpus", "cpus", "most_gpus", "most_cpus")}
    attempt = _next_attempt(row, settings.layout)
    known = sweep_hash(spec)
    changed = replace(row, spec=spec.model_dump_json(), spec_hash=known, attempt=attempt, **taken)
    if spec.search == "optuna":
        return Grown(changed, (), f"extended: {counted(asked.trials or 0, 'further draw')}")
    rows = tuple(
        (trial_row(changed, each.number, each.row, each.spec, now), each.spec.tags) for each in resolved
    )
    return Grown(changed, rows, f"extended: {counted(len(rows), 'further trial')}")


def refuse_grown(spec: SweepSpec) -> None:
    """Refuses a sweep that somebody sends with what only `extend` writes.

    Raises:
        SpecError: at its pointer.
    """
    if spec.grown:
        wanted = "POST /sweeps/{id}/extend, or nothing here"
        raise SpecError((Problem("/grown", "is written by extend alone", wanted),))


def _refuse_state(row: Sweep) -> None:
    if row.state is State.COMPLETED:
        return
    instead = "a new sweep with what is missing" if row.state.ended else "it can be once it has completed"
    raise Conflict(f"sweep {row.id} is {row.state}; only one that completed is extended: {instead}")


def _new_of(old: SweepSpec, trials: tuple[Trial, ...]) -> tuple[Trial, ...]:
    """The trials that `old` has not; of those that it has, number, row and spec are the same.

    Raises:
        SpecError: with what is added, rows that there are would be called otherwise.
    """
    if old.search == "optuna":
        return trials
    had = expand(old)
    for before, now in zip(had, trials, strict=False):
        if before != now:
            got = f"trial {now.number}, {before.row!r}, would be called {now.row!r}"
            raise SpecError((Problem("/axes", got, "values that are written otherwise than those there"),))
    return trials[len(had) :]


def _next_attempt(row: Sweep, storage: Storage) -> int:
    return max(row.attempt, storage.sweep(row.id).newest_attempt()) + 1
