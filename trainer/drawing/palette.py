"""A colour for each class, told apart by colour-blind readers as well where the data set has none of its own.

Letters: K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.spec.data.class_list import Colour

Floats = NDArray[np.float64]

# Okabe and Ito, Color Universal Design (2008): distinct under every common form of colour blindness.
_FIRST: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
    (0, 0, 0),
)
_WHITE: Colour = (255, 255, 255)  # of edges: no class has it
_LEVELS = (0, 36, 73, 109, 146, 182, 219, 255)  # of each channel of the colours that follow
# How linear sRGB is seen: whole, without red, green or blue cones; Machado et al., IEEE TVCG 15(6), 2009.
_SEEN: Floats = np.array(
    [
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    ]
)
# Linear sRGB to XYZ relative to its white, D65: IEC 61966-2-1.
_TO_XYZ: Floats = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
) / np.array([[0.9505], [1.0], [1.089]])


def palette_of(own: Sequence[Colour] | None, num_classes: int) -> tuple[Colour, ...]:
    """(K,) red, green, blue: the data set's `own` colours, else those of `distinct_colours`."""
    return distinct_colours(num_classes) if own is None else tuple(own)


@cache
def distinct_colours(num_classes: int) -> tuple[Colour, ...]:
    """(K,) colours, K ≤ 255, the first of more being those of fewer.

    The first eight are Okabe's and Ito's. Each that follows is, of a grid of 512, the one whose nearest
    colour among those before is farthest away: distances are in CIELAB, the smallest of what full colour
    vision sees, and what is seen without one kind of cones. From some twenty classes on no palette is told
    apart by colour alone: overlays have edges, and legends ids.
    """
    grid = np.stack(np.meshgrid(_LEVELS, _LEVELS, _LEVELS, indexing="ij"), axis=-1).reshape(-1, 3)
    candidates, chosen = _as_seen(grid), list(_FIRST[:num_classes])
    taken = [*chosen, _WHITE]
    distances = np.min([_distances(candidates, colour) for colour in taken], axis=0)
    while len(chosen) < num_classes:
        farthest = grid[int(distances.argmax())]
        colour = (int(farthest[0]), int(farthest[1]), int(farthest[2]))
        chosen.append(colour)
        distances = np.minimum(distances, _distances(candidates, colour))
    return tuple(chosen)


def _distances(candidates: Floats, colour: Colour) -> Floats:
    """(N,) smallest distance over ways of seeing, from (4, N, 3) colours as seen to one colour."""
    far: Floats = np.linalg.norm(candidates - _as_seen(np.array([colour])), axis=-1).min(axis=0)
    return far


def _as_seen(colours: NDArray[Any]) -> Floats:
    """(4, N, 3) CIELAB of (N, 3) sRGB colours of 8 bits, for each way of seeing."""
    share = colours / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.einsum("vij,nj->vni", _SEEN, linear), 0, 1)
    white = seen @ _TO_XYZ.T
    root = np.where(white > (6 / 29) ** 3, np.cbrt(white), white / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = root[..., 0], root[..., 1], root[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)
