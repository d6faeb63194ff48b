"""A sweep's report as files, when its job has come to its end: report.html, and every figure beside it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sweeps.document.expand import Trial
from sweeps.document.spec import SweepSpec
from sweeps.results.study_of_sweep import study_of_sweep
from sweeps.results.table import Row, Table
from trainer.base.ends import End
from trainer.figures.sources import Source, source_of
from trainer.results.report import AttemptReport
from trainer.storage.layout import Storage

log = logging.getLogger(__name__)


def write_page(
    sweep: SweepSpec,
    identifier: str,
    storage: Storage,
    table: Table,
    ended: Sequence[tuple[Trial, AttemptReport]],
) -> bool:
    """Whether there is one now: not of a sweep without results, nor where storage does not take it."""

    def sources(row: Row) -> list[Source]:
        return [
            source_of(report, storage.experiment(report.experiment))
            for trial, report in ended
            if trial.row == row.row and report.end is End.COMPLETED
        ]

    study = study_of_sweep(sweep, identifier, table, sources)
    if study is None:
        return False
    from trainer.figures.document.files import write_report

    directory = storage.sweep(identifier)
    try:
        write_report(study, directory.page, directory.figures)
    except OSError as error:  # it is made of the reports again, by the service or by another job
        log.warning("the report is not written: %s", error)
        return False
    return True
