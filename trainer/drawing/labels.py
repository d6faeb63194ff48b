"""Labels in colours: as a map of ids, and over the picture they belong to.

Letters: H W size of the picture, K classes. Pictures are (H, W, 3) uint8, red first; labels (H, W) uint8.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainer.spec.data.class_list import Colour
from trainer.spec.data.datasets import IGNORE_INDEX

Pixels = NDArray[np.uint8]
Where = NDArray[np.bool_]
Box = tuple[int, int, int, int]  # left, top, right, bottom, the last two outside

_SHADE = np.linspace(64, 255, 256).astype(np.uint8) // 2  # of each grey, under the colours
_EDGE = (255, 255, 255)
_EDGE_SHARE = 400  # an edge is one pixel thick for so many pixels of the shorter side


def label_png(labels: Pixels, palette: Sequence[Colour]) -> bytes:
    """A PNG of 8 bits whose values are the ids; viewers show them in the colours of the classes."""
    picture = Image.fromarray(labels, mode="L")
    picture.putpalette(table_of(palette).tobytes())  # of fewer colours Pillow makes fewer bits
    return _png(picture)


def png(picture: Pixels) -> bytes:
    """The picture as a PNG."""
    return _png(Image.fromarray(picture))


def overlay(picture: Pixels, labels: Pixels, palette: Sequence[Colour]) -> Pixels:
    """The classes' colours, half transparent, over the picture in grey, with white edges between classes.

    The picture gives light and shade only: its own colours would mix with those of the classes; and its
    shade is lifted, or all classes would be black at night. What is void is the dark picture, uncoloured.
    """
    grey = np.asarray(Image.fromarray(picture).convert("L"))
    drawn = (table_of(palette) // 2)[labels]
    drawn += _SHADE[grey][..., None]
    void = labels == IGNORE_INDEX
    drawn[void] = grey[void, None] // 2
    drawn[edges(labels)] = _EDGE
    return drawn


def table_of(palette: Sequence[Colour]) -> Pixels:
    """(256, 3) the colour of each id, black where there is no class."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(palette)] = palette
    return table


def edges(labels: Pixels) -> Where:
    """(H, W) whether another class is near: within one pixel in small pictures, more in large ones."""
    steps = max(1, round(min(labels.shape) / _EDGE_SHARE))
    found = np.zeros(labels.shape, np.bool_)
    for step in range(1, steps + 1):
        found[:-step] |= labels[:-step] != labels[step:]
        found[:, :-step] |= labels[:, :-step] != labels[:, step:]
    return found


def _png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()
