"""Figures 3 and 6 drawn: ΔIoU and ΔAcc of every class, most frequent first, head, body and tail shaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from trainer.figures.charts import parts
from trainer.figures.palette import GAIN, GROUP_COLOURS, LOSS
from trainer.figures.rows.row import Row
from trainer.figures.study import Study

_OWN = "as in the tables"
_SORTS = {
    "pixel frequency": "datum.rank",
    "region frequency": "-datum.region_frequency",
    "difference": "-datum.change",
    "name": "0",
}
_WIDTH, _TALL, _LOW, _FEW = 380, 120, 70, 6


def chart(rows: Sequence[Row], study: Study) -> Any:
    """Two columns; a reader may pick the reference, the order, a group, and a part of a class's name."""
    settings = parts.labels_in(rows)
    named = len(parts.labels_in(rows, "class")) <= parts.NAMED
    height = _TALL if len(settings) <= _FEW else _LOW
    columns = [
        _column(rows, field, title, named=named, height=height)
        for field, title in (("iou", "ΔIoU"), ("acc", "ΔAcc"))
    ]
    picked = (
        parts.choice("reference", "Reference", [_OWN, *settings]),
        parts.choice("order", "Order", list(_SORTS)),
        parts.choice("group", "Group", ["all", *GROUP_COLOURS]),
        parts.search("name", "Class"),
    )
    return parts.Steered(alt.hconcat(*columns, spacing=12), picked)


def _column(rows: Sequence[Row], field: str, title: str, *, named: bool, height: int) -> Any:
    base = alt.Chart()
    x = alt.X(
        "class:N",
        title=None if named else "classes",
        sort=alt.EncodingSortField("place", op="min"),
        axis=alt.Axis(labels=named, ticks=named, labelAngle=-60, labelLimit=110),
        scale=alt.Scale(padding=0.15 if named else 0),
    )
    tips = [
        parts.words("class"),
        parts.words("group"),
        parts.points("change", title),
        parts.percent(field, field.replace("iou", "IoU").replace("acc", "Acc")),
        parts.count("pixel_frequency", "training pixels"),
        parts.count("region_frequency", "training pictures"),
        parts.words("setting"),
    ]
    shade = base.mark_bar(opacity=0.13, width={"band": 1.0}).encode(
        x=x, y=alt.value(height), y2=alt.value(0), color=parts.group_colour()
    )
    bars = base.mark_bar().encode(
        x=x,
        y=alt.Y("change:Q", title=f"{title}, points"),
        fill=alt.condition("datum.change >= 0", alt.value(GAIN), alt.value(LOSS)),
        tooltip=tips,
    )
    layers = alt.layer(shade, bars).properties(width=_WIDTH, height=height)
    order = parts.labels_in(rows)
    return _differences(layers.facet(row=parts.panel_above(order), spacing=14, data=parts.source()), field)


def _differences(chart: alt.FacetChart, field: str) -> alt.FacetChart:
    """The chart over rows with `change`, to the reference that was picked, and their `place` on the axis."""
    chosen = f"reference === '{_OWN}'"
    keys = " : ".join(f"order === '{name}' ? {key}" for name, key in _SORTS.items())
    return (
        chart.transform_calculate(theirs=f"datum.setting === reference ? datum.{field} : null")
        .transform_joinaggregate(reference_score="max(theirs)", groupby=["class"])
        .transform_calculate(
            change=f"{chosen} ? datum.delta_{field}"
            f" : isValid(datum.{field}) && isValid(datum.reference_score)"
            f" ? datum.{field} - datum.reference_score : null"
        )
        .transform_filter(f"{chosen} ? datum.setting !== datum.reference : datum.setting !== reference")
        .transform_filter("group === 'all' || datum.group === group")
        .transform_filter("indexof(lower(datum.class), lower(name)) >= 0")
        .transform_calculate(place=f"{keys} : 0")
    )
