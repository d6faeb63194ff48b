"""Training curves drawn: a line for each run, coloured by its setting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from trainer.figures.charts import parts
from trainer.figures.rows.row import Row
from trainer.figures.study import Study


def chart(rows: Sequence[Row], study: Study) -> Any:
    """Loss on a logarithmic scale, and the metric where it was evaluated; a reader may pick a setting."""
    settings = parts.labels_in(rows)
    panels = [_panel("loss", "loss", settings, log=_positive(rows))]
    if any(row["measure"] == study.metric for row in rows):
        panels.append(_panel(study.metric, f"{study.metric_title}, %", settings, log=False))
    picked = (parts.choice("setting", "Setting", ["all", *settings]),)
    return parts.Steered(alt.hconcat(*panels, data=parts.source()), picked)


def _panel(measure: str, title: str, settings: Sequence[str], *, log: bool) -> Any:
    colours, _ = parts.series_scales(settings)
    scale = alt.Scale(type="log", nice=False) if log else alt.Scale(zero=False)
    return (
        alt.Chart()
        .transform_filter(alt.FieldEqualPredicate(field="measure", equal=measure))
        .transform_filter("setting === 'all' || datum.setting === setting")
        .mark_line(strokeWidth=1.2, opacity=0.8, point=alt.OverlayMarkDef(size=12) if not log else False)
        .encode(
            x=alt.X("iteration:Q", title="iteration", axis=alt.Axis(tickCount=5)),
            y=alt.Y("value:Q", title=title, scale=scale),
            color=alt.Color(
                "setting:N",
                scale=colours,
                title=None,
                sort=list(settings),
                legend=alt.Legend(orient="bottom", columns=3),
            ),
            detail="experiment:N",
            tooltip=[
                parts.words("setting"),
                parts.words("seed"),
                parts.count("iteration", "iteration"),
                alt.Tooltip("value:Q", title=title, format=".3f"),
            ],
        )
        .properties(width=360, height=240)
    )


def _positive(rows: Sequence[Row]) -> bool:
    return all(float(row["value"] or 0) > 0 for row in rows if row["measure"] == "loss")
