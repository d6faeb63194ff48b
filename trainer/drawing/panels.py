"""Pictures of one size, each under its title, side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from trainer.drawing.disagreement import difference, model_colour
from trainer.drawing.labels import Box, Pixels, overlay
from trainer.drawing.text import INK, LINE, blank, font, wrapped
from trainer.spec.data.class_list import Colour

_GAP = 8  # pixels
_LONGEST, _SHORTEST = 1200, 280  # a panel's long side and its width, at most and at least
_WIDE = 16 / 9  # of the whole
_BOX: Colour = (230, 0, 0)


class Panel(NamedTuple):
    """A picture, what it is called, and the colour beside its title, if it stands for something."""

    title: str
    picture: Pixels
    colour: Colour | None = None


def comparison(
    picture: Pixels,
    labels: Sequence[tuple[str, Pixels]],
    palette: Sequence[Colour],
    *,
    target: Pixels | None = None,
    boxes: Sequence[Box] = (),
) -> Pixels:
    """The picture, the truth where it is known, each model's labels over it, and where these differ.

    Of one model only with the truth, from which it differs then.

    Args:
        picture: (H, W, 3) uint8, red first.
        labels: (H, W) uint8 of the models, with their names.
        boxes: drawn into the last panel.
    """
    panels = [Panel("picture", picture)]
    if target is not None:
        panels.append(Panel("truth", overlay(picture, target, palette)))
    for number, (name, each) in enumerate(labels):
        colour = model_colour(number) if target is not None and len(labels) > 1 else None
        panels.append(Panel(name, overlay(picture, each, palette), colour))
    drawn, words = difference([each for _, each in labels], target)
    return side_by_side([*panels, Panel(words, boxed(drawn, boxes))])


def side_by_side(panels: Sequence[Panel]) -> Pixels:
    """(h, w, 3) uint8: the panels in as many columns as make the whole about as wide as a screen.

    Large pictures are shrunk, very small ones enlarged by a whole factor, so that titles can be read.
    """
    width, height = _panel_size(panels[0].picture)
    titles = [wrapped(panel.title, width - (LINE if panel.colour else 0)) for panel in panels]
    head = LINE * max(len(lines) for lines in titles) + 4
    ideal = math.sqrt(len(panels) * _WIDE * (height + head) / width)
    columns = min(len(panels), max(1, round(ideal)))
    rows = -(-len(panels) // columns)
    whole, draw = blank(_GAP + columns * (width + _GAP), _GAP + rows * (head + height + _GAP))
    for number, (panel, lines) in enumerate(zip(panels, titles, strict=True)):
        left = _GAP + number % columns * (width + _GAP)
        top = _GAP + number // columns * (head + height + _GAP)
        _write_title(draw, lines, panel.colour, left, top)
        whole.paste(_resized(panel.picture, width, height), (left, top + head))
    return np.asarray(whole)


def boxed(picture: Pixels, boxes: Sequence[Box]) -> Pixels:
    """The picture with the boxes' outlines, two pixels thick."""
    whole = Image.fromarray(picture)
    draw = ImageDraw.Draw(whole)
    for left, top, right, bottom in boxes:
        draw.rectangle((left, top, right - 1, bottom - 1), outline=_BOX, width=2)
    return np.asarray(whole)


def stacked(pictures: Sequence[Pixels]) -> Pixels:
    """(h, w, 3) uint8: pictures below each other, the narrower ones with white beside them."""
    width = max(picture.shape[1] for picture in pictures)
    whole, _ = blank(width, sum(picture.shape[0] for picture in pictures))
    top = 0
    for picture in pictures:
        whole.paste(Image.fromarray(picture), (0, top))
        top += picture.shape[0]
    return np.asarray(whole)


def _write_title(
    draw: ImageDraw.ImageDraw, lines: Sequence[str], colour: Colour | None, left: int, top: int
) -> None:
    if colour is not None:
        draw.rectangle((left, top + 2, left + LINE - 8, top + LINE - 6), fill=colour, outline=INK)
        left += LINE
    for number, line in enumerate(lines):
        draw.text((left, top + LINE * number), line, fill=INK, font=font())


def _panel_size(picture: Pixels) -> tuple[int, int]:
    height, width = picture.shape[:2]
    if width < _SHORTEST:
        factor: float = max(1, min(_SHORTEST // width, _LONGEST // height))
    else:
        factor = min(1, _LONGEST / max(height, width))
    return max(1, round(width * factor)), max(1, round(height * factor))


def _resized(picture: Pixels, width: int, height: int) -> Image.Image:
    larger = width > picture.shape[1]
    way = Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS
    whole = Image.fromarray(picture)
    return whole if whole.size == (width, height) else whole.resize((width, height), way)
