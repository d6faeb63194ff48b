"""What several charts are built from: data by name, scales, shading, the look of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import altair as alt

from trainer.figures.palette import (
    GROUP_COLOURS,
    GROUP_SHAPES,
    INK,
    series_colours,
    series_shapes,
)
from trainer.figures.rows.row import Row

ROWS = "rows"  # the name of a figure's data in its chart
SPREAD_SHOWN = "datum.seeds >= 3"  # an interval of two is wider than the axis, and hides what is there
NAMED = 40  # classes: the names of more would lie over each other
LABEL_LIMIT = 260  # pixels of a name beside an axis


def source() -> alt.NamedData:
    """The figure's rows, put in once the chart is made: Altair would check each against a schema."""
    return alt.NamedData(name=ROWS)


def labels_in(rows: Sequence[Row], column: str = "setting") -> list[str]:
    """The different words of a column, in order."""
    return list(dict.fromkeys(str(row[column]) for row in rows))


def series_scales(labels: Sequence[str]) -> tuple[alt.Scale, alt.Scale]:
    """Of colours and of shapes: the same label has the same in every figure, if all are given."""
    colours = alt.Scale(domain=list(labels), range=series_colours(labels))
    return colours, alt.Scale(domain=list(labels), range=series_shapes(labels))


def group_colour(**options: Any) -> alt.Color:
    """Head, body, tail."""
    scale = alt.Scale(domain=list(GROUP_COLOURS), range=list(GROUP_COLOURS.values()))
    return alt.Color("group:N", title="group by pixels", scale=scale, **options)


def group_shape(**options: Any) -> alt.Shape:
    scale = alt.Scale(domain=list(GROUP_SHAPES), range=list(GROUP_SHAPES.values()))
    return alt.Shape("group:N", title="group by pixels", scale=scale, **options)


def percent(field: str, title: str) -> alt.Tooltip:
    return alt.Tooltip(field, type="quantitative", title=title, format=".2f")


def points(field: str, title: str) -> alt.Tooltip:
    return alt.Tooltip(field, type="quantitative", title=title, format="+.2f")


def words(field: str, title: str | None = None) -> alt.Tooltip:
    return alt.Tooltip(field, type="nominal", title=title or field)


def count(field: str, title: str) -> alt.Tooltip:
    return alt.Tooltip(field, type="quantitative", title=title, format=",")


def choice(name: str, label: str, options: Sequence[str]) -> alt.VariableParameter:
    """A parameter that a reader picks from a list; a drawing without scripts has its first value."""
    bind = alt.binding_select(options=list(options), name=f"{label} ")
    return alt.VariableParameter(name=name, value=options[0], bind=bind)


def search(name: str, label: str) -> alt.VariableParameter:
    """A parameter that a reader types: a part of a name."""
    return alt.VariableParameter(name=name, value="", bind=alt.BindInput(input="text", name=f"{label} "))


class Steered(NamedTuple):
    """A chart, and what a reader can pick."""

    chart: Any
    params: Sequence[alt.VariableParameter]


def panel_above(order: Sequence[str]) -> alt.Row:
    """A panel for each setting, one below the other, under its name."""
    header = alt.Header(labelAngle=0, labelOrient="top", labelAnchor="start", labelPadding=2)
    return alt.Row("setting:N", title=None, sort=list(order), header=header)


def finished(chart: Any) -> dict[str, Any]:
    """The chart as Vega-Lite, in the look of all: its ink is the page's, its paper none.

    Args:
        chart: Altair's, or one that is `Steered`.
    """
    axis = {
        "labelColor": INK,
        "titleColor": INK,
        "tickColor": INK,
        "domainColor": INK,
        "gridColor": INK,
        "gridOpacity": 0.12,
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "labelLimit": LABEL_LIMIT,
    }
    legend = {"labelColor": INK, "titleColor": INK, "labelLimit": LABEL_LIMIT, "titleFontWeight": "normal"}
    config = {
        "aria": False,  # the drawing as a whole has a description; its marks by the thousand have none
        "background": None,
        "font": "sans-serif",
        "axis": axis,
        "legend": {**legend, "symbolStrokeWidth": 1.5},
        "header": {"labelColor": INK, "titleColor": INK, "labelLimit": 700, "labelFontSize": 12},
        "title": {"color": INK, "fontSize": 12, "fontWeight": "normal", "anchor": "start", "limit": 700},
        "text": {"color": INK},
        "view": {"stroke": None},
    }
    whole = chart if isinstance(chart, Steered) else Steered(chart, ())
    document: dict[str, Any] = whole.chart.to_dict()
    document.pop("$schema", None)
    # Altair looks for the views of parameters that are added to charts of charts; ours belong to all of them.
    params = [*document.pop("params", []), *(each.to_dict() for each in whole.params)]
    return {**document, "params": params, "config": config}


def with_rows(document: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    """The chart with its data."""
    return {**document, "datasets": {**document.get("datasets", {}), ROWS: list(rows)}}
