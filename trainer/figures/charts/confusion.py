"""The pairs of classes that are mixed up more or less than before, drawn as bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from trainer.figures.charts import parts
from trainer.figures.palette import GAIN, LOSS
from trainer.figures.rows.row import Row
from trainer.figures.study import Study


def chart(rows: Sequence[Row], study: Study) -> Any:
    """A panel for each setting, the pair that changed most above."""
    del study
    bars = (
        alt.Chart(parts.source())
        .transform_calculate(pair="datum.truth + ' → ' + datum.predicted")
        .mark_bar(height={"band": 0.75})
        .encode(
            x=alt.X("change:Q", title="change of the share of the true class's pixels, points"),
            y=alt.Y("pair:N", title=None, sort=alt.EncodingSortField("size", op="max", order="descending")),
            color=alt.condition("datum.change < 0", alt.value(GAIN), alt.value(LOSS)),
            tooltip=[
                parts.words("truth"),
                parts.words("predicted"),
                parts.percent("share_before", "share before, %"),
                parts.percent("share_after", "share after, %"),
                parts.count("pixels_before", "pixels before"),
                parts.count("pixels_after", "pixels after"),
            ],
        )
        .properties(width=440, height=alt.Step(17))
    )
    row = parts.panel_above(parts.labels_in(rows))
    return (
        bars.transform_calculate(size="abs(datum.change)")
        .facet(row=row, spacing=4)
        .resolve_scale(y="independent")
    )
