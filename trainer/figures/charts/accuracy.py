"""Figure 4 drawn: accuracy of every class against its training frequency, with Pearson's coefficient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from trainer.figures.charts import parts
from trainer.figures.rows.correlations import Frequency, means
from trainer.figures.rows.row import Row
from trainer.figures.study import Study

_WORDS: dict[Frequency, str] = {"pixel": "training pixels", "region": "training pictures with the class"}


def chart(rows: Sequence[Row], study: Study) -> Any:
    """Two panels; a reader may pick the setting, the first one else."""
    named = len(parts.labels_in(rows, "class")) <= parts.NAMED
    panels = [_panel(frequency, study, named=named) for frequency in _WORDS]
    picked = parts.choice("setting", "Setting", parts.labels_in(rows)), parts.search("name", "Class")
    return parts.Steered(alt.hconcat(*panels, data=parts.source()), picked)


def _panel(frequency: Frequency, study: Study, *, named: bool) -> Any:
    field = f"{frequency}_frequency"
    known = {
        label: "undefined" if value is None else f"{value:.1f} %"
        for label, value in means(study, frequency).items()
    }
    coefficient = alt.param(name=f"rho_{frequency}", value=known)
    title = alt.TitleParams(text=alt.expr(f"'by {_WORDS[frequency]}: ρ = ' + rho_{frequency}[setting]"))
    base = (
        alt.Chart()
        .transform_filter(f"datum.setting === setting && datum.{field} > 0")
        .transform_filter("indexof(lower(datum.class), lower(name)) >= 0")
        .encode(
            x=alt.X(
                f"{field}:Q",
                title=_WORDS[frequency],
                scale=alt.Scale(type="log", nice=False, padding=12),
                axis=alt.Axis(format="~s", tickCount=5),
            ),
            y=alt.Y("acc:Q", title="Acc, %", scale=alt.Scale(domain=[0, 100])),
        )
    )
    points = base.mark_point(filled=True, size=45, opacity=0.8).encode(
        color=parts.group_colour(),
        shape=parts.group_shape(),
        tooltip=[
            parts.words("class"),
            parts.words("group"),
            parts.percent("acc", "Acc"),
            parts.count("pixel_frequency", "training pixels"),
            parts.count("region_frequency", "training pictures"),
        ],
    )
    names = base.mark_text(align="left", dx=6, dy=-4, fontSize=9, angle=330).encode(text="class:N")
    layers = alt.layer(points, names) if named else points
    return layers.properties(width=360, height=260, title=title).add_params(coefficient)
