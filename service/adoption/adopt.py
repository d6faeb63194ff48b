"""Rows from run directories that the database does not know: it was lost, or they were run without a service.

What ended is as its report or the service's note says: see `left.py`. What has neither becomes `submitted`,
and the reconciler follows it like any other: a job that the cluster still has goes on, another is begun for
one that is gone, and resumes. Those are named, for who adopts may know better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from pydantic import ValidationError

from service.adoption.attempts import attempts_in
from service.adoption.left import Left, NotAdopted, left_in
from service.reconcile.decide import headline_of
from service.reconcile.stopping.ended import read_end
from service.shared.queue.demands import demand_of_sweep
from service.shared.states import State
from service.store.experiments import Store
from service.store.new_rows import drawn_trial, new_experiment
from service.store.records import Experiment, Sweep, Tagged, UnknownExperiment, UnknownSweep
from sweeps.document.same import sweep_hash
from sweeps.document.spec import SweepSpec
from sweeps.results.report import read_sweep_report
from trainer.base.ends import End
from trainer.base.errors import RegionRebalanceError
from trainer.results.report import AttemptReport, read_report
from trainer.spec.spec import ExperimentSpec
from trainer.storage.deleted import Doomed
from trainer.storage.layout import Storage, mlflow_ids
from trainer.storage.port import StoredFile

Found = TypeVar("Found")

_REASON = "adopted from its run directory"


@dataclass(frozen=True)
class Adopted:
    """What was taken, and what not and why, by id. `followed`: of what was taken, what has not ended."""

    experiments: list[str] = field(default_factory=list)
    sweeps: list[str] = field(default_factory=list)
    followed: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    known: int = 0


def adopt(store: Store, storage: Storage) -> Adopted:
    """Makes rows of all that lies in the storage and has none; doing so again changes nothing.

    Raises:
        StoreUnavailable: the database does not answer; what was taken before stays.
    """
    found = Adopted()

    def take(
        folder: str, read: Callable[[str], Found], create: Callable[[Found], object], taken: list[str]
    ) -> int:
        """How many had a row."""
        known = 0
        for name in storage.folder.folder(folder).names():
            if _is_known(store, name):
                known += 1
                continue
            try:
                row = read(name)
            except RegionRebalanceError as error:
                found.left[name] = str(error)
                continue
            create(row)
            taken.append(name)
        return known

    def note_followed(row: Experiment | Sweep) -> None:
        if row.state is State.SUBMITTED:
            found.followed.append(row.id)

    def take_sweep(sweep: Sweep, trials: list[Tagged]) -> None:
        here = storage.sweep(sweep.id).attempt
        tried = attempts_in(storage, sweep, here, read_sweep_report)
        store.sweeps.create(sweep, trials, reason=_REASON, attempts=tried)
        note_followed(sweep)

    def take_experiment(row: Experiment, tags: Mapping[str, str]) -> None:
        tried = attempts_in(storage, row, partial(storage.attempt, row.id), read_report)
        store.create(row, new_tags=tags, reason=_REASON, attempts=tried)
        note_followed(row)

    # Sweeps first: their trials come with them, and are known by then.
    known = take(
        "sweeps",
        lambda name: _sweep(storage, name),
        lambda row: take_sweep(*row),
        found.sweeps,
    )
    known += take(
        "runs",
        lambda name: _experiment(storage, name),
        lambda row: take_experiment(*row),
        found.experiments,
    )
    return replace(found, known=known)


def _is_known(store: Store, name: str) -> bool:
    for ledger, unknown in ((store, UnknownExperiment), (store.sweeps, UnknownSweep)):
        try:
            ledger.get(name)
        except unknown:
            continue
        return True
    return False


def _experiment(storage: Storage, name: str) -> Tagged:
    """Raises NotAdopted, ReportError."""
    _refuse_deleted(Doomed(storage.experiment(name)))
    newest = storage.newest_attempt(name)
    if newest == 0:
        raise NotAdopted("has no attempt")
    left = left_in(partial(storage.attempt, name), newest, read_end(storage.end(name)), read_report)
    report, file = left.report, left.here.spec
    spec = report.spec if report is not None and not file.exists() else _spec(file)
    row = replace(
        new_experiment(name, spec, left.began),
        **_columns(left, mlflow_ids(storage.mlflow_run(name)).get("run_id")),
    )
    if report is not None and report.result is not None:
        row = replace(row, headline=headline_of(report), progress=_progress(report))
    return row, spec.tags


def _sweep(storage: Storage, name: str) -> tuple[Sweep, list[Tagged]]:
    """A sweep with the trials that it has begun; the rest of a grid's are made again by its next job.

    Raises NotAdopted, ReportError.
    """
    here = storage.sweep(name)
    _refuse_deleted(Doomed(here.folder))
    newest = here.newest_attempt()
    try:
        spec = SweepSpec.model_validate_json(here.spec.read_text())
    except (FileNotFoundError, ValidationError, UnicodeDecodeError) as error:
        raise NotAdopted(f"{here.spec} tells no sweep: {_first_line(error)}") from error
    if newest == 0:
        raise NotAdopted("has no attempt")
    left = left_in(here.attempt, newest, read_end(here.end), read_sweep_report)
    columns = _columns(left, mlflow_ids(here.mlflow).get("run_id"))
    sweep = Sweep(
        id=name,
        name=spec.name,
        spec=spec.model_dump_json(),
        created_at=left.began,
        spec_hash=sweep_hash(spec),
        **columns,
        paused=here.pause.exists() and not columns["state"].ended,
        **demand_of_sweep(spec, ()),
    )
    return sweep, list(_trials(storage, sweep, left.began))


def _columns(left: Left[Any], run_id: str | None) -> dict[str, Any]:
    """How it stands; of an end that no job tells, or that came to it from outside, MLflow may not know."""
    state: State = left.columns["state"]
    told = left.report is not None and left.report.state == state and state is not State.CANCELLED
    due = None if run_id is None or told or not state.ended else End(state).mlflow_status
    return {
        "attempt": left.attempt,
        "mlflow_run_id": run_id,
        "mlflow_status_due": due,
        **left.columns,
    }


def _refuse_deleted(found: Doomed) -> None:
    """Raises NotAdopted."""
    if found.mark.exists():
        raise NotAdopted("was deleted; `rebalance gc` takes away what is left of it")


def _trials(storage: Storage, sweep: Sweep, began: datetime) -> Iterator[Tagged]:
    """Queued, all of them: the reconciler brings each to where its run directory says."""
    for number in storage.sweep(sweep.id).trial_numbers():
        found = drawn_trial(storage, sweep, number, began)
        if found is not None:
            yield found


def _progress(report: AttemptReport) -> dict[str, Any]:
    iterations = report.spec.schedule.iterations
    return {"iteration": iterations, "iterations": iterations, "loss": None}


def _spec(file: StoredFile) -> ExperimentSpec:
    try:
        return ExperimentSpec.model_validate_json(file.read_text())
    except (FileNotFoundError, ValidationError, UnicodeDecodeError) as error:
        raise NotAdopted(f"has no report, and {file} tells no spec: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
