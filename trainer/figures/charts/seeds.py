"""Runs as points beside mean and interval; and the same over λ, with the paper's curve beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from trainer.figures.charts import parts
from trainer.figures.palette import BLUE, INK
from trainer.figures.rows.row import Row
from trainer.figures.study import Study
from trainer.spec.catalogue.published import lambda_curve


def chart(rows: Sequence[Row], study: Study) -> Any:
    """A line for each setting."""
    title = f"{study.metric_title}, %"
    y = alt.Y("setting:N", title=None, sort=parts.labels_in(rows))
    base = alt.Chart(parts.source())
    ends = (
        base.transform_filter(parts.SPREAD_SHOWN)
        .mark_rule(color=INK, strokeWidth=2)
        .encode(y=y, x=alt.X("low:Q", title=title, scale=alt.Scale(zero=False)), x2="high:Q")
    )
    means = base.mark_tick(color=INK, thickness=3, size=14).encode(
        y=y,
        x=alt.X("mean:Q", title=title),
        tooltip=[
            parts.words("setting"),
            parts.percent("mean", "mean"),
            parts.percent("low", "95 % from"),
            parts.percent("high", "to"),
            parts.points("delta", "Δ"),
            alt.Tooltip("p_value:Q", title="p", format=".3f"),
        ],
    )
    return alt.layer(ends, means, _runs(base, y, title)).properties(width=520, height=alt.Step(24))


def _runs(base: alt.Chart, y: alt.Y, title: str) -> Any:
    return base.mark_point(filled=True, size=55, opacity=0.8, color=BLUE).encode(
        y=y,
        x=alt.X("value:Q", title=title),
        tooltip=[parts.words("experiment"), parts.words("seed"), parts.percent("value", title)],
    )


def lambda_chart(rows: Sequence[Row], study: Study) -> Any:
    """Two panels: ours with its runs, and Table 5; each has a scale of its own."""
    title = f"{study.metric_title}, %"
    x = alt.X("lambda:Q", title="λ")
    base = alt.Chart(parts.source())
    line = base.mark_line(color=BLUE, point=alt.OverlayMarkDef(color=BLUE, shape="diamond", size=60)).encode(
        x=x, y=alt.Y("mean(mean):Q", title=title, scale=alt.Scale(zero=False))
    )
    spread = (
        base.transform_filter(parts.SPREAD_SHOWN)
        .mark_rule(color=INK)
        .encode(x=x, y=alt.Y("mean(low):Q"), y2="mean(high):Q")
    )
    runs = base.mark_point(filled=True, size=35, color=INK, opacity=0.6).encode(
        x=x,
        y=alt.Y("value:Q"),
        tooltip=[
            parts.words("setting"),
            parts.words("seed"),
            parts.percent("value", study.metric_title),
        ],
    )
    ours = alt.layer(spread, line, runs).properties(width=340, height=240, title="ours")
    published = [{"lambda": key, "paper": value} for key, value in lambda_curve().items()]
    papers = (
        alt.Chart(alt.InlineData(values=published))
        .mark_line(color=INK, strokeDash=[5, 3], point=alt.OverlayMarkDef(color=INK, size=45))
        .encode(
            x=x,
            y=alt.Y("paper:Q", title="mIoU, %", scale=alt.Scale(zero=False)),
            tooltip=[alt.Tooltip("lambda:Q", title="λ"), parts.percent("paper", "mIoU")],
        )
        .properties(width=340, height=240, title="the paper: ADE20K, DeepLabV3+ R-50, single scale")
    )
    return alt.hconcat(ours, papers, spacing=30)
