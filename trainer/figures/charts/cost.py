"""Cost against score drawn: a point for each run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from trainer.figures.charts import parts
from trainer.figures.rows.row import Row
from trainer.figures.study import Study


def chart(rows: Sequence[Row], study: Study) -> Any:
    settings = parts.labels_in(rows)
    colours, shapes = parts.series_scales(settings)
    legend = alt.Legend(columns=1 + len(settings) // 24)
    return (
        alt.Chart(parts.source())
        .mark_point(filled=True, size=70, opacity=0.85)
        .encode(
            x=alt.X("seconds:Q", title="training and evaluation, seconds", scale=alt.Scale(zero=False)),
            y=alt.Y("value:Q", title=f"{study.metric_title}, %", scale=alt.Scale(zero=False)),
            color=alt.Color("setting:N", scale=colours, sort=settings, title=None, legend=legend),
            shape=alt.Shape("setting:N", scale=shapes, sort=settings, title=None, legend=legend),
            tooltip=[
                parts.words("setting"),
                parts.words("experiment"),
                parts.words("seed"),
                parts.percent("value", study.metric_title),
                parts.count("seconds", "seconds"),
                parts.count("parameters", "parameters"),
                parts.words("workers"),
                parts.words("gpus", "GPUs"),
            ],
        )
        .properties(width=460, height=300)
    )
