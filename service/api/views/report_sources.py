"""What a report is drawn from, and the state of it by which one that was drawn is still good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from service.reconcile import run_directories
from service.shared.states import State
from service.store.records import Experiment, NoReport, Sweep
from sweeps.document.spec import SweepSpec
from sweeps.results.study_of_sweep import study_of_sweep
from sweeps.results.table import Row, Table
from trainer.base.errors import ComparisonError, ReportError
from trainer.figures.sources import Source, source_of, study_of
from trainer.figures.study import Study
from trainer.storage.layout import Storage


def state_of(storage: Storage, rows: Sequence[Experiment]) -> tuple[object, ...]:
    """All that their figures depend on: the report of an attempt that completed stays, pictures may come."""
    return tuple((row.id, row.attempt, row.state, *_kept(storage, row.id)) for row in rows)


def _kept(storage: Storage, experiment: str) -> tuple[tuple[str, int | None], ...]:
    names = storage.followups(experiment).names()
    return tuple((name, storage.followup(experiment, name).pictures.modified_ns()) for name in names)


def comparison_study(storage: Storage, rows: Sequence[Experiment], mode: str | None) -> Study:
    """Of completed experiments, the first as the reference.

    Raises:
        ComparisonError: one has left no report, or they cannot be compared.
        ReportError: a report cannot be read.
    """
    return study_of([_source(storage, row) for row in rows], mode)


def sweep_study(storage: Storage, sweep: Sweep, trials: Sequence[Experiment], table: Table) -> Study:
    """Of a sweep as far as it has come.

    Raises:
        NoReport: no trial has completed.
    """
    by_row: Mapping[str, list[Experiment]] = {row.row: [] for row in table.blocks[0].rows}
    for trial in trials:
        if trial.state is State.COMPLETED:
            by_row.get(trial.trial_row or "", []).append(trial)

    def sources(row: Row) -> list[Source]:
        found = []
        for trial in by_row[row.row]:
            try:
                found.append(_source(storage, trial))
            except (ComparisonError, ReportError):
                continue  # the table counts such a trial as one without a result, too
        return found

    spec = SweepSpec.model_validate_json(sweep.spec)
    study = study_of_sweep(spec, sweep.id, table, sources)
    if study is None:
        raise NoReport(f"no trial of sweep {sweep.id} has completed; it is {sweep.state}")
    return study


def _source(storage: Storage, row: Experiment) -> Source:
    report = run_directories.report_of(storage, row.id, row.attempt)
    if report is None:
        raise ComparisonError(f"experiment {row.id} has left no report; it is {row.state}")
    return source_of(report, storage.experiment(row.id))
