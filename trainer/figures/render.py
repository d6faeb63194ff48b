"""A chart as SVG, as PNG, and as what a browser draws live: by vl-convert, without a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import vl_convert

from trainer.figures.palette import LIGHT_PAPER

VEGALITE = "6.4"  # the version that Altair writes; `test_drawings.py` holds it against Altair's own
_PNG_SCALE = 2.0
_NUMBERS = re.compile(r' (?:d|transform|x|y|x1|x2|y1|y2|width|height|cx|cy|r)="[^"]*"')
_LONG = re.compile(r"-?\d+\.\d{3,}(?:e-?\d+)?")
_IDLE = re.compile(
    r' (?:class|role|pointer-events|aria-[a-z]+|stroke-miterlimit)="[^"]*"|<path[^>]* d="M0,0h0v0h0Z"[^>]*/>'
    r'|<path[^>]* d=""[^>]*/>| (?:stroke-)?opacity="1"'
)


def svg(chart: Mapping[str, Any]) -> str:
    """The drawing; without what only a live chart needs, and coordinates to a hundredth of a pixel.

    Args:
        chart: as `live` has made it.

    Raises:
        ValueError: it cannot be drawn.
    """
    drawn: str = vl_convert.vega_to_svg(json.dumps(chart))
    return _NUMBERS.sub(lambda part: _LONG.sub(_rounded, part[0]), _IDLE.sub("", drawn))


def on_paper(drawing: str) -> str:
    """An SVG file of its own: on white, in black ink."""
    head, _, rest = drawing.partition(">")
    return f'{head} color="black">\n<rect width="100%" height="100%" fill="{LIGHT_PAPER}"/>{rest}\n'


def png(drawing: str) -> bytes:
    """The drawing at twice its size, on white."""
    made: bytes = vl_convert.svg_to_png(on_paper(drawing), scale=_PNG_SCALE)
    return made


def live(document: Mapping[str, Any]) -> dict[str, Any]:
    """A chart of Vega-Lite for Vega's runtime. Raises ValueError where it is none."""
    made: dict[str, Any] = vl_convert.vegalite_to_vega(json.dumps(document), vl_version=VEGALITE)
    return made


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")
