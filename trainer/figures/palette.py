"""The colours of figures, and shapes beside them: nothing is told by colour alone.

Okabe and Ito, Color Universal Design (2008), without black, which is the ink, and yellow, which white paper
swallows. Each has a contrast of at least 2 to both papers, and lines and areas lie beside words or shapes.
"""

from __future__ import annotations

from collections.abc import Sequence

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, GREY = "#E69F00", "#56B4E9", "#8A8A8A"
SERIES = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, GREY)
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right")
GAIN, LOSS = BLUE, VERMILLION
GROUP_COLOURS = {"head": BLUE, "body": ORANGE, "tail": VERMILLION}
GROUP_SHAPES = {"head": "circle", "body": "square", "tail": "triangle-up"}
# The ink is the text's of where a figure stands, so that one drawing serves light and dark pages.
INK = "currentColor"
LIGHT_PAPER, DARK_PAPER = "#ffffff", "#16181c"


def series_colours(labels: Sequence[str]) -> list[str]:
    """A colour for each label; of more than seven they begin again, told apart by `series_shapes`."""
    return [SERIES[number % len(SERIES)] for number in range(len(labels))]


def series_shapes(labels: Sequence[str]) -> list[str]:
    """A shape for each label: those of a colour differ, up to 49 labels."""
    return [SHAPES[(number + number // len(SERIES)) % len(SHAPES)] for number in range(len(labels))]
