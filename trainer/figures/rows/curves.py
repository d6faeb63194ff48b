"""How every run was trained: its loss, and its metric at each evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trainer.figures.rows.row import Missing, Row, Rows
from trainer.figures.study import Run, Study
from trainer.storage.sink import read_records

_MOST_POINTS = 100  # of a run's loss


def rows(study: Study) -> Rows:
    """A row for each point: `measure` is loss, or the metric in training; of a long run every n-th loss."""
    found: list[Row] = []
    for setting, run in study.runs:
        for measure, points in curves_of(run, study.metric).items():
            about: Row = {"setting": setting.label, "experiment": run.experiment, "seed": run.seed}
            found += [
                {**about, "measure": measure, "iteration": iteration, "value": value}
                for iteration, value in points
            ]
    return found or Missing("metrics.jsonl in the run directories")


def curves_of(run: Run, metric: str) -> dict[str, list[tuple[int, float]]]:
    """(iteration, value) by measure; what a resumed run did again counts as it was done last."""
    records = [record for attempt in run.attempts for record in read_records(attempt.metrics)]
    losses = _values(records, "train", "loss")
    step = -(-len(losses) // _MOST_POINTS) or 1
    thinned = [*losses[::step], *(losses[-1:] if (len(losses) - 1) % step else [])]
    return {"loss": thinned, metric: _values(records, "eval", metric)}


def _values(records: Sequence[dict[str, Any]], kind: str, name: str) -> list[tuple[int, float]]:
    found: dict[int, float] = {}
    for record in records:
        iteration, value = record.get("iteration"), record.get(name)
        if record.get("kind") == kind and isinstance(iteration, int) and isinstance(value, (int, float)):
            found[iteration] = float(value)
    return sorted(found.items())
