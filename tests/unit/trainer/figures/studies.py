"""Small studies for tests, from confusion matrices that can be read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.data_factories import counts_of, make_report, scores_of
from trainer.figures.sources import Source, source_at, study_of
from trainer.figures.study import Study
from trainer.results.confusion_file import write_confusion
from trainer.results.report import AttemptReport, write_report
from trainer.storage.layout import Storage

Matrix = Sequence[Sequence[int]]
BASE: Matrix = [[80, 20, 0], [10, 40, 0], [5, 5, 10]]
BETTER: Matrix = [[78, 20, 2], [5, 45, 0], [2, 2, 16]]
RR: dict[str, Any] = {"kind": "region_rebalance"}
PIXELS = (1000, 100, 10)


def report_of(
    experiment: str, matrix: Matrix, *, names: Sequence[str] | None = None, **spec: Any
) -> AttemptReport:
    """A completed report with the scores of a confusion matrix."""
    scores = scores_of(matrix, names=names, pixels=[*PIXELS, *range(9, 0, -1)][: len(matrix)])
    return make_report(experiment, scores=scores, **spec)


def two_by_two() -> Study:
    """The baseline and region rebalance, seeds 0 and 1; without run directories."""
    reports = (
        report_of("b0", BASE),
        report_of("r0", BETTER, method=RR),
        report_of("b1", BASE, seed=1),
        report_of("r1", BASE, method=RR, seed=1),
    )
    return study_of([Source(report) for report in reports])


def leave(storage: Path, report: AttemptReport, matrix: Matrix | None = None, losses: int = 0) -> Path:
    """The run directory of a report, with counts and a training curve where asked for."""
    layout = Storage.at(storage)
    here = layout.attempt(report.experiment, report.attempt)
    write_report(report, here.report)
    if matrix is not None and report.result is not None:
        names = [one.name for one in report.result.evaluation["single_scale"].classes]
        write_confusion(here.confusion, {"single_scale": counts_of(matrix, images=10)}, names)
    if losses:
        train = [
            f'{{"kind": "train", "iteration": {n}, "loss": {2 / n}, "time": {n}}}' for n in range(1, losses)
        ]
        evaluated = [f'{{"kind": "eval", "iteration": {losses}, "mIoU": 50.5, "time": {losses}}}']
        here.metrics.write("\n".join([*train, *evaluated]) + "\n")
    return layout.experiment(report.experiment).local


def from_directories(storage: Path, *, names: Sequence[str] | None = None) -> Study:
    """Baseline and region rebalance with everything in their run directories."""
    made = (
        (report_of("b0", BASE, names=names), BASE),
        (report_of("r0", BETTER, names=names, method=RR), BETTER),
    )
    return study_of([source_at(leave(storage, report, matrix, losses=20)) for report, matrix in made])
