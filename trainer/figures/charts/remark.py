"""Remark 1 drawn: both sides of the condition for every class; below the diagonal it is met."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from trainer.figures.charts import parts
from trainer.figures.palette import GAIN, GROUP_COLOURS, INK, LOSS
from trainer.figures.rows.row import Row
from trainer.figures.study import Study

_SIDE = 300
_CONSTANT = 10  # percent: nearer to 0 the axes are nearly linear


def chart(rows: Sequence[Row], study: Study) -> Any:
    """A panel for each setting; a reader may pick a group, and a part of a class's name."""
    del study
    sides = [abs(float(row[side] or 0)) for row in rows for side in ("left", "right")]
    ends = _power(max(sides, default=1.0))
    scale = alt.Scale(type="symlog", constant=_CONSTANT, domain=[-ends, ends])
    axis = alt.Axis(values=_ticks(ends), labelExpr="format(datum.value, '~s')")
    base = (
        alt.Chart()
        .transform_filter("isValid(datum.left) && isValid(datum.right)")
        .transform_filter("group === 'all' || datum.group === group")
        .transform_filter("indexof(lower(datum.class), lower(name)) >= 0")
        .transform_calculate(told="datum.met ? 'met: IoU rose' : 'not met: IoU fell or stayed'")
    )
    classes = base.mark_point(filled=True, size=45, opacity=0.75).encode(
        x=alt.X("right:Q", title="right side: g, % of the class's pixels", scale=scale, axis=axis),
        y=alt.Y("left:Q", title="left side: (FP' − (1+g)·FP) / n, %", scale=scale, axis=axis),
        color=alt.Color(
            "told:N",
            title="Remark 1",
            scale=alt.Scale(domain=["met: IoU rose", "not met: IoU fell or stayed"], range=[GAIN, LOSS]),
        ),
        shape=parts.group_shape(),
        tooltip=[
            parts.words("class"),
            parts.words("told", "Remark 1"),
            parts.points("left", "left, %"),
            parts.points("right", "right, %"),
            parts.count("pixels", "labelled pixels n"),
            parts.words("seed"),
        ],
    )
    line = alt.InlineData(values=[{"x": place} for place in (-ends, *_ticks(ends), ends)])
    diagonal = (
        alt.Chart(line)
        .mark_line(color=INK, opacity=0.5)
        .encode(x=alt.X("x:Q", scale=scale), y=alt.Y("x:Q", scale=scale))
    )
    layers = alt.layer(diagonal, classes).properties(width=_SIDE, height=_SIDE)
    order = parts.labels_in(rows)
    facet = alt.Facet("setting:N", title=None, sort=order)
    picked = parts.choice("group", "Group", ["all", *GROUP_COLOURS]), parts.search("name", "Class")
    return parts.Steered(layers.facet(facet=facet, columns=2, data=parts.source()), picked)


def _power(value: float) -> float:
    """The first of 100, 1,000, … that is no smaller."""
    ends = 100.0
    while ends < value:
        ends *= 10
    return ends


def _ticks(ends: float) -> list[float]:
    """0, and the powers of 100 on both sides up to `ends`."""
    found = [100.0]
    while found[-1] * 100 <= ends:
        found.append(found[-1] * 100)
    return [*(-tick for tick in reversed(found)), 0.0, *found]
