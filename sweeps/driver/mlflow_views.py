"""How MLflow shows a sweep: its trials in charts set in advance, its table in MLflow's own table view."""

from __future__ import annotations

from typing import Any

from sweeps.document.spec import SweepSpec
from sweeps.results.table import Table
from trainer.tracking.content.deltas import DELTA
from trainer.tracking.content.views import SHOWN, View, parameter_of


def view_of(sweep: SweepSpec, identifier: str) -> View:
    """Its trials by what they differ in: scores, gains and curves."""
    scores = tuple(dict.fromkeys((sweep.metric, *SHOWN)))
    varied = [parameter_of(axis.pointer) for axis in sweep.axes]
    return View(
        key=f"rebalance-{identifier}",
        title="Its trials compared",
        runs=f"tags.`rebalance.sweep` = '{identifier}' AND tags.`rebalance.row` LIKE '%'",
        params=[*(("method.kind",) if sweep.variants else ()), *varied],
        metrics=[*scores, *(f"{DELTA}{name}" for name in scores)],
    )


def table_view(table: Table) -> dict[str, Any]:
    """{"columns": […], "data": [[…]]}: a line for each mode and row, rounded; table.csv has all digits."""
    scores = list(table.blocks[0].rows[0].scores)
    spreads = [name for score in scores for name in (score, f"{score} std")]
    columns = ["mode", "row", *spreads, f"delta {table.metric}", "p", "n", "stopped", "unfinished"]
    data = [
        [
            block.mode,
            row.row,
            *(
                _rounded(value, 2)
                for score in scores
                for value in (row.scores[score].mean, row.scores[score].std)
            ),
            _rounded(row.delta, 2),
            _rounded(row.p_value, 4),
            len(row.seeds),
            row.stopped,
            row.unfinished,
        ]
        for block in table.blocks
        for row in block.rows
    ]
    return {"columns": columns, "data": data}


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
