"""From confusion counts to scores: counts are summed over everything first and divided once.

Letters: K classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Group = Literal["head", "body", "tail"]
GROUPS: tuple[Group, ...] = ("head", "body", "tail")
_THIRDS = (Fraction(1, 3), Fraction(2, 3))
_NOISE = 1e-9  # classes: 5/6 of 6 classes are 5 of them, though 5/6 as a float is a little more


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


def fp_tp(counts: ClassCounts) -> list[float | None]:
    """FP/TP of each class, None where TP is 0: what 1/IoU has beyond 1/Acc (arXiv 2204.01969, Eq. 3)."""
    return [int(fp) / int(tp) if tp else None for tp, fp in zip(counts.tp, counts.fp, strict=True)]


def overall_accuracy(counts: ClassCounts) -> float | None:
    """aAcc: the share of valid pixels whose class is right, in percent."""
    return percent(counts.tp.sum(), counts.tp.sum() + counts.fn.sum())


def mean(values: Sequence[float | None]) -> float | None:
    """Mean over the classes that have a value, None if none has."""
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None


def pearson(frequencies: Sequence[int], accuracies: Sequence[float | None]) -> float | None:
    """Pearson correlation of class frequency and class accuracy in percent (arXiv 2204.01969, Eq. 6).

    Over the classes that have an accuracy; None where there are fewer than two, or where either side is the
    same for all of them.
    """
    pairs = [(float(n), acc) for n, acc in zip(frequencies, accuracies, strict=True) if acc is not None]
    if len({n for n, _ in pairs}) < 2 or len({acc for _, acc in pairs}) < 2:
        return None
    x, y = (_standardised(values) for values in zip(*pairs, strict=True))
    correlation = math.fsum(a * b for a, b in zip(x, y, strict=True))
    return max(-100.0, min(100.0, 100.0 * correlation))


def _standardised(values: Sequence[float]) -> list[float]:
    """Without their mean, and of length 1 as a vector; `values` are not all the same."""
    average = math.fsum(values) / len(values)
    centred = [value - average for value in values]
    length = math.hypot(*centred)
    return [value / length for value in centred]


def imbalance_factor(class_counts: Sequence[int]) -> float | None:
    """Largest over smallest count of the classes that occur (arXiv 2204.01969, Fig. 5b); None without any."""
    present = [count for count in class_counts if count > 0]
    return max(present) / min(present) if present else None


def frequency_groups(counts: Sequence[int], boundaries: tuple[float, float] | None = None) -> list[Group]:
    """Group of each class: by falling training frequency, cut after the shares `boundaries` of K.

    Cut at ceil(K·share); without `boundaries` at thirds, as numpy.array_split does. Ties keep the class
    order; with few classes the last groups can be empty.
    """
    number = len(counts)
    cuts = [math.ceil(number * share - _NOISE) for share in boundaries or _THIRDS]
    groups: list[Group] = ["head"] * number
    for rank, k in enumerate(sorted(range(number), key=lambda k: -counts[k])):
        groups[k] = GROUPS[sum(rank >= cut for cut in cuts)]
    return groups


def group_means(values: Sequence[float | None], groups: Sequence[Group]) -> dict[Group, float | None]:
    """Mean over the classes of each group that have a value, None where none has."""
    pairs = list(zip(values, groups, strict=True))
    return {group: mean([value for value, its in pairs if its == group]) for group in GROUPS}
