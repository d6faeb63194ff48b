"""Figure 5 drawn: training frequency of the classes by pixels and by pictures, on one logarithmic span."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from trainer.figures.charts import parts
from trainer.figures.palette import BLUE, GREEN
from trainer.figures.rows.frequencies import WORDS, factors
from trainer.figures.rows.row import Row
from trainer.figures.study import Study

_SHORT = {"pixel": "PIF", "region": "RIF"}
_COLOURS = {"pixel": BLUE, "region": GREEN}


def chart(rows: Sequence[Row], study: Study | None = None) -> Any:
    """Two panels for each data set; both span the same factor, so that the steeper one is more unbalanced."""
    del study
    lines = []
    for dataset in parts.labels_in(rows, "dataset"):
        mine = [row for row in rows if row["dataset"] == dataset]
        span = max(factor or 1.0 for factor, _ in factors(mine).values())
        lines.append(
            alt.hconcat(*(_panel(mine, dataset, frequency, span) for frequency in WORDS), spacing=24)
        )
    return alt.vconcat(*lines, data=parts.source())


def _panel(rows: Sequence[Row], dataset: str, frequency: str, span: float) -> Any:
    mine = [row for row in rows if row["frequency"] == frequency]
    most = max(int(row["count"] or 0) for row in mine)
    named = len(mine) <= parts.NAMED
    order = [str(row["class"]) for row in sorted(mine, key=lambda row: int(row["rank"] or 0))]
    floor = most / span / 2
    scale = alt.Scale(type="log", domain=[floor, most * 1.5], nice=False)
    return (
        alt.Chart()
        .transform_filter(
            alt.FieldEqualPredicate(field="dataset", equal=dataset)
            & alt.FieldEqualPredicate(field="frequency", equal=frequency)
            & alt.FieldGTPredicate(field="count", gt=0)
        )
        .transform_calculate(floor=str(floor))
        .mark_bar(color=_COLOURS[frequency])
        .encode(
            x=alt.X(
                "class:N",
                sort=order,
                title=None if named else f"{len(mine)} classes, most frequent first",
                axis=alt.Axis(labels=named, ticks=named, labelAngle=-60, labelLimit=110),
                scale=alt.Scale(paddingInner=0.1 if named else 0),
            ),
            y=alt.Y("count:Q", title=WORDS[frequency], scale=scale, axis=alt.Axis(format="~s", tickCount=6)),
            y2="floor:Q",
            tooltip=[
                parts.words("class"),
                parts.count("count", WORDS[frequency]),
                parts.count("rank", "rank"),
            ],
        )
        .properties(width=360, height=200, title=f"{dataset}: {_title(rows, dataset, frequency)}")
    )


def _title(rows: Sequence[Row], dataset: str, frequency: str) -> str:
    ours, papers = factors(rows)[dataset, frequency]
    told = "undefined" if ours is None else f"{ours:,.1f}"
    beside = f" (the paper: {papers:,})" if papers is not None else ""
    return f"{_SHORT[frequency]} {told}{beside}"
