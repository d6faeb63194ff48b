"""Tables as text, cell by cell: of Markdown, LaTeX and HTML, with the same digits."""

from __future__ import annotations

from typing import NamedTuple

from trainer.results.compare import Comparison
from trainer.results.scores import HEADLINE, column_title


class Grid(NamedTuple):
    """Cells as text, empty where there is no number. The first `words` columns are words."""

    titles: list[str]
    rows: list[list[str]]
    words: int


def fixed(value: float | None) -> str:
    """Two decimals, as papers print percent; empty where undefined."""
    return "" if value is None else f"{value:.2f}"


def signed(value: float | None) -> str:
    """The same with its sign."""
    return "" if value is None else f"{value:+.2f}"


def comparison_grid(comparison: Comparison) -> Grid:
    """A row for each experiment: scores in percent, difference to the first in points, seconds."""
    others = [name for name in HEADLINE if name not in ("mIoU", "aAcc")]
    titles = ["experiment", "method", "seed", "mIoU", "Δ mIoU", *map(column_title, others), "seconds"]
    rows = [
        [
            row.experiment,
            row.method,
            str(row.seed),
            fixed(row.mIoU),
            signed(row.delta_mIoU) if place else "",
            *(fixed(getattr(row, name)) for name in others),
            f"{row.seconds:.0f}",
        ]
        for place, row in enumerate(comparison.rows)
    ]
    return Grid(titles, rows, words=2)


def comparison_class_grid(comparison: Comparison) -> Grid:
    """A row for each class: the first experiment's IoU, and every other one's difference to it."""
    first, *others = (row.experiment for row in comparison.rows)
    titles = ["class", "group", "pixels", "pictures", first, *(f"Δ {each}" for each in others)]
    rows = [
        [
            *(one.name, one.group, f"{one.pixel_frequency:,}", f"{one.region_frequency:,}"),
            fixed(one.iou[0]),
            *map(signed, one.delta_iou[1:]),
        ]
        for one in comparison.classes
    ]
    return Grid(titles, rows, words=2)
