"""Where the labels of several models differ, and which of them is right there.

Letters: H W size of the picture. Labels are (H, W) uint8.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainer.drawing.labels import Box, Pixels, Where
from trainer.drawing.palette import distinct_colours
from trainer.spec.data.class_list import Colour
from trainer.spec.data.datasets import IGNORE_INDEX

RULE = "valid pixels on which the two labels differ and exactly one of them is right"
_AGREE, _VOID, _OTHERWISE, _DIFFER = (255, 255, 255), (200, 200, 200), (60, 60, 60), (213, 94, 0)


def one_right(ours: Pixels, other: Pixels, target: Pixels) -> Where:
    """(H, W) bool: what `RULE` says."""
    found: Where = (target != IGNORE_INDEX) & ((ours == target) != (other == target))
    return found


def windows(where: Where, most: int, *, share: float = 0.25) -> list[Box]:
    """The windows with the most pixels of a mask (H, W), greatest first; none overlaps one before it.

    A window's sides are `share` of the picture's. Of equals the upper one, then the left; none is empty.
    """
    height, width = (max(1, round(side * share)) for side in where.shape)
    found: list[Box] = []
    blocked = np.zeros((where.shape[0] - height + 1, where.shape[1] - width + 1), np.bool_)
    sums = np.pad(where.astype(np.int64).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    counts = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    while len(found) < most:
        open_counts = np.where(blocked, 0, counts)
        top, left = divmod(int(open_counts.argmax()), counts.shape[1])
        if not open_counts[top, left]:
            break
        found.append((left, top, left + width, top + height))
        blocked[max(0, top - height + 1) : top + height, max(0, left - width + 1) : left + width] = True
    return found


def model_colour(number: int) -> Colour:
    """Of the model `number`, from 0: where it alone is right."""
    return distinct_colours(8)[1:][number % 7]  # the first is too near to what says `differ`


def difference(labels: Sequence[Pixels], target: Pixels | None) -> tuple[Pixels, str]:
    """((H, W, 3) uint8, what its colours say): white where all models agree.

    With the truth: where one model alone is right its `model_colour`, else dark; light grey where it is void.
    Without: one colour wherever not all labels are the same. Of a single model white is where it is right.
    """
    compared = labels[1:] if target is None or len(labels) > 1 else [target]
    alike = np.logical_and.reduce([each == labels[0] for each in compared])
    drawn = np.empty((*labels[0].shape, 3), np.uint8)
    drawn[...] = _OTHERWISE if target is not None else _DIFFER
    if target is not None and len(labels) > 1:
        right = np.stack([each == target for each in labels])
        alone = right.sum(axis=0) == 1
        for number, each in enumerate(right):
            drawn[alone & each] = model_colour(number)
    drawn[alike] = _AGREE
    if target is None:
        return drawn, "white: all agree; orange: they differ"
    drawn[target == IGNORE_INDEX] = _VOID
    if len(labels) == 1:
        return drawn, "white: right; dark: wrong; grey: void"
    return drawn, "white: all agree; a model's colour: it alone is right; dark: else; grey: void"
