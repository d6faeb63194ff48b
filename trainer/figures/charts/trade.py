"""Figure 8 drawn: curves of constant FP/TP, and each class's arrow from the reference to the setting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from trainer.figures.charts import parts
from trainer.figures.palette import GROUP_COLOURS, INK
from trainer.figures.rows.row import Row
from trainer.figures.rows.trade import RATIOS
from trainer.figures.study import Study

_STEPS = 50  # of a curve
_SIDE = 300


def chart(rows: Sequence[Row], study: Study) -> Any:
    """A panel for each setting; a reader may pick a group, and a part of a class's name."""
    del study
    x = alt.X("acc_after:Q", title="Acc, %", scale=alt.Scale(domain=[0, 100]))
    y = alt.Y("iou_after:Q", title="IoU, %", scale=alt.Scale(domain=[0, 100]))
    base = (
        alt.Chart()
        .transform_filter("group === 'all' || datum.group === group")
        .transform_filter("indexof(lower(datum.class), lower(name)) >= 0")
    )
    tips = [
        parts.words("class"),
        parts.words("group"),
        parts.percent("acc_before", "Acc before"),
        parts.percent("acc_after", "Acc after"),
        parts.percent("iou_before", "IoU before"),
        parts.percent("iou_after", "IoU after"),
    ]
    lines = base.mark_rule(strokeWidth=1.2, opacity=0.8).encode(
        x="acc_before:Q", y="iou_before:Q", x2="acc_after:Q", y2="iou_after:Q", color=parts.group_colour()
    )
    starts = base.mark_point(size=14, filled=True, opacity=0.8).encode(
        x="acc_before:Q", y="iou_before:Q", color=parts.group_colour(), tooltip=tips
    )
    heads = base.mark_point(size=40, filled=True, shape="triangle").encode(
        x=x,
        y=y,
        angle=alt.Angle("angle:Q", scale=alt.Scale(domain=[0, 360], range=[0, 360])),
        color=parts.group_colour(),
        tooltip=tips,
    )
    layers = alt.layer(*_curves(), lines, starts, heads).properties(width=_SIDE, height=_SIDE)
    order = parts.labels_in(rows)
    facet = alt.Facet("setting:N", title=None, sort=order)
    picked = parts.choice("group", "Group", ["all", *GROUP_COLOURS]), parts.search("name", "Class")
    return parts.Steered(layers.facet(facet=facet, columns=2, data=parts.source()), picked)


def _curves() -> list[alt.Chart]:
    """IoU = 1 / (1/Acc + b), Eq. 17, for each b of `RATIOS`, with b at their ends."""
    values = [
        {"b": b, "acc": 100 * step / _STEPS, "iou": 100 / (_STEPS / step + b) if step else 0.0}
        for b in RATIOS
        for step in range(_STEPS + 1)
    ]
    curves = alt.Chart(alt.InlineData(values=values))
    lines = curves.mark_line(color=INK, opacity=0.35, strokeWidth=1, strokeDash=[3, 3]).encode(
        x="acc:Q", y="iou:Q", detail="b:N"
    )
    ends = alt.Chart(alt.InlineData(values=[row for row in values if row["acc"] == 100]))
    words = (
        ends.transform_calculate(text="'FP/TP = ' + datum.b")
        .mark_text(color=INK, opacity=0.7, fontSize=9, align="right", dx=-2, dy=-5)
        .encode(x="acc:Q", y="iou:Q", text="text:N")
    )
    return [lines, words]
