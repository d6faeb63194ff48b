"""From confusion counts to scores: counts are summed over everything first and divided once.

Letters: K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Group = Literal["head", "body", "tail"]
GROUPS: tuple[Group, ...] = ("head", "body", "tail")


@dataclass(frozen=True)
class ClassCounts:
    """Per class, (K,) int64 each, in pixels of the evaluated split."""

    tp: Counts
    fp: Counts
    fn: Counts

    @classmethod
    def of(cls, matrix: Counts) -> ClassCounts:
        """From a (K, K) confusion matrix, rows = target."""
        tp = np.diagonal(matrix).astype(np.int64)
        return cls(tp=tp, fp=matrix.sum(axis=0) - tp, fn=matrix.sum(axis=1) - tp)


def percent(numerator: int, denominator: int) -> float | None:
    """100·a/b, or None where b is 0: a class in neither labels nor predictions has no score."""
    return 100.0 * int(numerator) / int(denominator) if denominator else None


def iou(counts: ClassCounts) -> list[float | None]:
    """IoU of each class in percent (arXiv 2204.01969, Eq. 1)."""
    rows = zip(counts.tp, counts.fp, counts.fn, strict=True)
    return [percent(tp, tp + fp + fn) for tp, fp, fn in rows]


def accuracy(counts: ClassCounts) -> list[float | None]:
    """Acc of each class in percent (arXiv 2204.01969, Eq. 2)."""
    return [percent(tp, tp + fn) for tp, fn in zip(counts.tp, counts.fn, strict=True)]


def overall_accuracy(counts: ClassCounts) -> float | None:
    """aAcc: the share of valid pixels whose class is right, in percent."""
    return percent(counts.tp.sum(), counts.tp.sum() + counts.fn.sum())


def mean(values: Sequence[float | None]) -> float | None:
    """Mean over the classes that have a value, None if none has."""
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None


def frequency_groups(pixel_counts: Sequence[int]) -> list[Group]:
    """Group of each class: thirds by training pixel frequency, cut as numpy.array_split cuts them.

    Ties keep the class order; with fewer than three classes the last groups are empty.
    """
    order = sorted(range(len(pixel_counts)), key=lambda k: -pixel_counts[k])
    groups: dict[int, Group] = {}
    for group, part in zip(GROUPS, np.array_split(np.array(order, dtype=np.int64), len(GROUPS)), strict=True):
        groups.update((int(k), group) for k in part)
    return [groups[k] for k in range(len(pixel_counts))]
