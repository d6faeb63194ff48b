"""One curve of a run that may still go on, small, in the colours of the page around it."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from trainer.figures import render

_WIDTH, _HEIGHT = 420, 180  # pixels, of the plot
_DOTTED = 30  # points below which each is marked


def drawing(title: str, points: Sequence[tuple[int, float]]) -> str:
    """An SVG of `points`, (iteration, value), by iteration."""
    values = [{"iteration": iteration, "value": value} for iteration, value in points]
    chart = (
        alt.Chart(alt.InlineData(values=values))
        .mark_line(interpolate="linear", point=len(points) < _DOTTED)
        .encode(
            x=alt.X("iteration:Q", title="iteration", scale=alt.Scale(zero=True)),
            y=alt.Y("value:Q", title=title, scale=alt.Scale(zero=False)),
        )
        .properties(width=_WIDTH, height=_HEIGHT)
        .configure(background="transparent", font="sans-serif")
        .configure_view(stroke=None)
    )
    return render.svg(render.live(chart.to_dict()))
