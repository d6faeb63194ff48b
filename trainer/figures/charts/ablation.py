"""Figure 7 drawn: a bar for each part, its runs as points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from trainer.figures.charts import parts
from trainer.figures.palette import INK, SERIES
from trainer.figures.rows.ablation import PARTS
from trainer.figures.rows.row import Row
from trainer.figures.study import Study


def chart(rows: Sequence[Row], study: Study) -> Any:
    x = alt.X("part:N", title=None, sort=list(PARTS), axis=alt.Axis(labelAngle=0, labelLimit=180))
    scale = alt.Scale(domain=list(PARTS), range=list(SERIES[:3]))
    base = alt.Chart(parts.source())
    title = f"{study.metric_title}, %"
    bars = base.mark_bar(opacity=0.75, width={"band": 0.6}).encode(
        x=x,
        y=alt.Y("mean(mean):Q", title=title),
        color=alt.Color("part:N", scale=scale, legend=None),
        tooltip=[parts.words("part"), parts.percent("mean", f"mean {study.metric_title}")],
    )
    spread = (
        base.transform_filter(parts.SPREAD_SHOWN)
        .mark_rule(color=INK)
        .encode(x=x, y=alt.Y("mean(low):Q", title=title), y2="mean(high):Q")
    )
    runs = base.mark_point(color=INK, filled=True, size=30).encode(
        x=x,
        y=alt.Y("value:Q", title=title),
        tooltip=[
            parts.words("setting"),
            parts.words("seed"),
            parts.percent("value", study.metric_title),
        ],
    )
    layers = alt.layer(bars, spread, runs).properties(width=560, height=240)
    return layers.facet(row=alt.Row("panel:N", title=None))
