"""Which pairs of classes are mixed up more, or less, than by the reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from trainer.base.errors import ReportError
from trainer.figures.rows.row import Missing, Row, Rows
from trainer.figures.study import Run, Setting, Study, paired
from trainer.results.confusion_file import read_matrix
from trainer.results.metrics import Counts

MOST = 10  # pairs of each setting
_NEEDS = "confusion.npz in the run directories of a setting and its reference, of the same mode and labels"

Shares = npt.NDArray[np.float64]


def rows(study: Study) -> Rows:
    """The `MOST` pairs (truth, predicted) of each setting whose share has changed most; of equals the first.

    A share is of the pixels of the truth's class, in percent, counts summed over the shared seeds.
    """
    found: list[Row] = []
    known: dict[str, Counts | None] = {}
    for setting, base in study.compared():
        pairs = paired(setting, base)
        before = _summed([run for run, _ in pairs], study.mode, known)
        after = _summed([run for _, run in pairs], study.mode, known)
        if before is not None and after is not None and before.shape == after.shape:
            found += _changed(setting, base, before, after)
    return found or Missing(_NEEDS)


def _summed(runs: Sequence[Run], mode: str, known: dict[str, Counts | None]) -> Counts | None:
    """(K, K) counts of all runs; None where one of them has none. Each file is read once."""
    total: Counts | None = None
    for run in runs:
        if run.experiment not in known:
            known[run.experiment] = _matrix(run, mode)
        matrix = known[run.experiment]
        if matrix is None:
            return None
        total = matrix if total is None else total + matrix
    return total


def _matrix(run: Run, mode: str) -> Counts | None:
    if not run.attempts:
        return None
    try:
        found = read_matrix(run.attempts[-1].confusion, mode)
    except (FileNotFoundError, ReportError):
        return None
    return found if found is not None and len(found) == len(run.scores.classes) else None


def _changed(setting: Setting, base: Setting, before: Counts, after: Counts) -> list[Row]:
    names = [one.name for one in setting.runs[0].scores.classes]
    first, second = _shares(before), _shares(after)
    change = second - first
    np.fill_diagonal(change, 0)
    largest = np.argsort(-np.abs(change), axis=None, kind="stable")[:MOST]
    cells = [divmod(int(cell), len(names)) for cell in largest]
    return [
        {
            "setting": setting.label,
            "reference": base.label,
            "truth": names[row],
            "predicted": names[column],
            "share_before": float(first[row, column]),
            "share_after": float(second[row, column]),
            "change": float(change[row, column]),
            "pixels_before": int(before[row, column]),
            "pixels_after": int(after[row, column]),
        }
        for row, column in cells
        if change[row, column]
    ]


def _shares(counts: Counts) -> Shares:
    """Percent of each row's sum; 0 in a row without pixels."""
    shares: Shares = 100.0 * counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    return shares
