"""Rows from run directories that the database does not know: it was lost, or they were run without a service.

What has a report has ended as it says. What has none becomes `submitted` in its newest attempt, and the
reconciler follows it like any other: a job that the cluster still has goes on, another is begun for one that
is gone, and resumes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from pydantic import ValidationError

from service.adoption.attempts import attempts_in
from service.reconcile.decide import headline_of
from service.shared.queue.demands import demand_of_sweep
from service.shared.states import State
from service.store.experiments import Store
from service.store.new_rows import drawn_trial, new_experiment
from service.store.records import Experiment, Sweep, Tagged, UnknownExperiment, UnknownSweep
from sweeps.document.same import sweep_hash
from sweeps.document.spec import SweepSpec
from sweeps.results.report import SweepReport, read_sweep_report
from trainer.base.ends import End
from trainer.base.errors import Paused, RegionRebalanceError
from trainer.results.report import AttemptReport, read_report
from trainer.spec.spec import ExperimentSpec
from trainer.storage.deleted import Doomed
from trainer.storage.layout import Storage, mlflow_ids
from trainer.storage.port import StoredFile

Found = TypeVar("Found")

_REASON = "adopted from its run directory"


@dataclass(frozen=True)
class Adopted:
    """What was taken, and what not and why, by id."""

    experiments: list[str] = field(default_factory=list)
    sweeps: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    known: int = 0


class NotAdopted(RegionRebalanceError):
    """The directory tells too little for a row; the message says what is missing."""


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

    def take_sweep(sweep: Sweep, trials: list[Tagged]) -> None:
        store.sweeps.create(sweep, trials, reason=_REASON)
        here = storage.sweep(sweep.id)
        store.sweeps.keep_attempts(sweep.id, attempts_in(storage, sweep, here.attempt, read_sweep_report))

    def take_experiment(row: Experiment, tags: Mapping[str, str]) -> None:
        store.create(row, new_tags=tags, reason=_REASON)
        found = attempts_in(storage, row, partial(storage.attempt, row.id), read_report)
        store.keep_attempts(row.id, found)

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
    attempt = storage.newest_attempt(name)
    if attempt == 0:
        raise NotAdopted("has no attempt")
    here = storage.attempt(name, attempt)
    report = read_report(here.report)
    spec = report.spec if report is not None and not here.spec.exists() else _spec(here.spec)
    began = _time(report.started_at) if report is not None else _written_at(here.spec)
    row = replace(
        new_experiment(name, spec, began),
        attempt=attempt,
        mlflow_run_id=mlflow_ids(storage.mlflow_run(name)).get("run_id"),
        **_end(report),
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
    attempt = here.newest_attempt()
    try:
        spec = SweepSpec.model_validate_json(here.spec.read_text())
    except (FileNotFoundError, ValidationError, UnicodeDecodeError) as error:
        raise NotAdopted(f"{here.spec} tells no sweep: {_first_line(error)}") from error
    if attempt == 0:
        raise NotAdopted("has no attempt")
    report = read_sweep_report(here.attempt(attempt).report)
    began = _time(report.started_at) if report is not None else _written_at(here.spec)
    sweep = Sweep(
        id=name,
        name=spec.name,
        attempt=attempt,
        spec=spec.model_dump_json(),
        created_at=began,
        mlflow_run_id=mlflow_ids(here.mlflow).get("run_id"),
        spec_hash=sweep_hash(spec),
        **demand_of_sweep(spec, ()),
        **{"updated_at": began, **_end(report)},
    )
    return sweep, list(_trials(storage, sweep, began))


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


def _end(report: AttemptReport | SweepReport | None) -> dict[str, Any]:
    """The columns that say how it stands."""
    if report is None:
        return {"state": State.SUBMITTED}
    ended_at = _time(report.ended_at)
    if report.error is not None and report.error.type == Paused.__name__:
        began = _time(report.started_at)
        return {
            "state": State.PAUSED,
            "started_at": began,
            "updated_at": ended_at,
            "pause_requested_at": ended_at,
        }
    error = None if report.state == End.CANCELLED else report.error  # that it was asked for is no error
    return {
        "state": State(report.state),
        "started_at": _time(report.started_at),
        "ended_at": ended_at,
        "updated_at": ended_at,
        "error_type": error.type if error else None,
        "error_message": error.message if error else None,
    }


def _progress(report: AttemptReport) -> dict[str, Any]:
    iterations = report.spec.schedule.iterations
    return {"iteration": iterations, "iterations": iterations, "loss": None}


def _spec(file: StoredFile) -> ExperimentSpec:
    try:
        return ExperimentSpec.model_validate_json(file.read_text())
    except (FileNotFoundError, ValidationError, UnicodeDecodeError) as error:
        raise NotAdopted(f"has no report, and {file} tells no spec: {_first_line(error)}") from error


def _time(text: str) -> datetime:
    """Raises NotAdopted."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise NotAdopted(f"its report says {text[:40]!r} for a time") from error
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _written_at(file: StoredFile) -> datetime:
    return datetime.fromtimestamp((file.modified_ns() or 0) / 1e9, UTC)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
