"""Training curves as SVG, drawn by the service: what metrics.jsonl has so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from markupsafe import Markup

_MOST_POINTS = 400  # of a curve: more cannot be told apart at this width
Points = tuple[tuple[int, float], ...]  # (iteration, value), by iteration


@dataclass(frozen=True)
class Curve:
    """One figure of the page, and the same in words."""

    title: str
    svg: Markup
    told: str


def curves(lines: Iterable[Mapping[str, Any]]) -> tuple[Curve, ...]:
    """The loss and the mIoU by iteration; one that has no two points yet is left out.

    Args:
        lines: records of metrics.jsonl over all attempts, oldest first. Of an iteration that was trained
            twice the later attempt's counts.
    """
    loss: dict[int, float] = {}
    miou: dict[int, float] = {}
    for line in lines:
        into, value = {"train": (loss, line.get("loss")), "eval": (miou, line.get("mIoU"))}.get(
            str(line.get("kind")), (loss, None)
        )
        iteration = line.get("iteration")
        if isinstance(iteration, int) and isinstance(value, int | float):
            into[iteration] = float(value)
    found = (("Loss", "loss", loss), ("mIoU, %", "mIoU", miou))
    return tuple(_curve(title, name, values) for title, name, values in found if len(values) > 1)


def _curve(title: str, name: str, values: Mapping[int, float]) -> Curve:
    points = tuple(sorted(values.items()))
    (first, begin), (last, end) = points[0], points[-1]
    told = f"{name} by iteration: {begin:.4g} at {first:,}, {end:.4g} at {last:,}"
    return Curve(title, Markup(_svg(title, _thinned(points))), told)  # Vega escapes what it writes


def _thinned(points: Points) -> Points:
    """At most `_MOST_POINTS`, evenly, the last one always among them."""
    step = -(-len(points) // _MOST_POINTS)
    return points[::-1][::step][::-1]


@lru_cache(maxsize=64)
def _svg(title: str, points: Points) -> str:
    """Colours come from the page's own style: light and dark."""
    from trainer.figures.charts.progress import drawing

    return drawing(title, points)
