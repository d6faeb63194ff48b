"""What the colours mean, and how much of the pictures each class takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trainer.drawing.labels import Pixels
from trainer.drawing.text import INK, LINE, blank, font, width_of
from trainer.spec.data.class_list import Colour

_GAP, _SWATCH = 12, 36  # pixels


def swatches(entries: Sequence[tuple[str, Colour]], width: int) -> Pixels:
    """(h, `width`, 3) uint8: names beside their colours, in as many lines as they need."""
    places: list[tuple[int, int]] = []
    left, line = _GAP, 0
    for name, _ in entries:
        wide = _SWATCH + _GAP + width_of(name) + _GAP
        if left > _GAP and left + wide > width:
            left, line = _GAP, line + 1
        places.append((left, line))
        left += wide + _GAP
    picture, draw = blank(width, _GAP + LINE * (line + 1) + _GAP)
    for (name, colour), (left, line) in zip(entries, places, strict=True):
        top = _GAP + LINE * line
        draw.rectangle((left, top + 2, left + _SWATCH, top + LINE - 4), fill=colour, outline=INK)
        draw.text((left + _SWATCH + _GAP, top), name, fill=INK, font=font())
    return np.asarray(picture)


def legend(names: Sequence[str], palette: Sequence[Colour], pixels: Mapping[str, Sequence[int]]) -> Pixels:
    """A line for each class that is there: colour, id, name, and its share of the pixels; largest first.

    Args:
        names: (K,), as `palette`.
        pixels: (K,) of each class, by whose labels they are; a column each. Of one, `""` needs no title.
    """
    totals = {title: max(1, sum(counts)) for title, counts in pixels.items()}
    there = [k for k in range(len(names)) if any(counts[k] for counts in pixels.values())]
    there.sort(key=lambda k: -sum(counts[k] / totals[title] for title, counts in pixels.items()))
    head = ["", "", *pixels] if any(pixels) else []
    rows = [
        [str(k), names[k], *(f"{100 * counts[k] / totals[title]:.2f} %" for title, counts in pixels.items())]
        for k in there
    ]
    table = [head, *rows] if head else rows
    widths = [max(width_of(row[column]) for row in table) for column in range(2 + len(pixels))]
    width = _GAP + _SWATCH + sum(_GAP + each for each in widths) + _GAP
    picture, draw = blank(width, _GAP + LINE * len(table) + _GAP)
    for number, row in enumerate(table):
        top, left = _GAP + LINE * number, _GAP + _SWATCH + _GAP
        if not head or number:
            colour = palette[there[number - bool(head)]]
            draw.rectangle((_GAP, top + 2, _GAP + _SWATCH, top + LINE - 4), fill=colour, outline=INK)
        for column, text in enumerate(row):
            indent = 0 if column == 1 else widths[column] - width_of(text)  # numbers stand to the right
            draw.text((left + indent, top), text, fill=INK, font=font())
            left += widths[column] + _GAP
    return np.asarray(picture)
