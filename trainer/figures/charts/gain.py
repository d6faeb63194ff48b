"""Figure 1 drawn: a bar for each method on each model, the paper's gain as a tick."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from trainer.figures.charts import parts
from trainer.figures.palette import GAIN, INK, LOSS
from trainer.figures.rows.row import Row
from trainer.figures.study import Study


def chart(rows: Sequence[Row], study: Study) -> Any:
    order = parts.labels_in(rows)
    y = alt.Y("setting:N", title=None, sort=order)
    tips = [
        parts.words("model"),
        parts.words("setting"),
        parts.words("baseline", "against"),
        parts.points("mean", f"mean Δ {study.metric_title}"),
        parts.points("low", "95 % from"),
        parts.points("high", "to"),
        parts.count("seeds", "shared seeds"),
        parts.points("paper", "the paper's Δ"),
    ]
    base = alt.Chart(parts.source())
    title = f"Δ {study.metric_title}, points"
    once = base.transform_aggregate(
        groupby=["setting", "model", "baseline", "mean", "low", "high", "seeds", "paper"]
    )
    bars = once.mark_bar(height={"band": 0.6}).encode(
        y=y,
        x=alt.X("mean:Q", title=title),
        color=alt.condition("datum.mean >= 0", alt.value(GAIN), alt.value(LOSS)),
        tooltip=tips,
    )
    seed = [parts.words("setting"), parts.words("seed"), parts.points("gain", title)]
    seeds = base.mark_point(color=INK, filled=True, size=22).encode(
        y=y, x=alt.X("gain:Q", title=title), tooltip=seed
    )
    spread = (
        base.transform_filter(parts.SPREAD_SHOWN).mark_rule(color=INK).encode(y=y, x="low:Q", x2="high:Q")
    )
    paper = (
        once.transform_filter("isValid(datum.paper)")
        .mark_tick(color=INK, thickness=3)
        .encode(y=y, x="paper:Q", tooltip=tips)
    )
    layers = alt.layer(bars, spread, seeds, paper).properties(width=480)
    return layers.facet(
        row=alt.Row("model:N", title=None, sort=parts.labels_in(rows, "model"))
    ).resolve_scale(y="independent")
