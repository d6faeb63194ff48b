"""Scores of single pictures, which large objects do not decide as they do where pixels of all are summed.

Source: Wang et al., Revisiting Evaluation Metrics for Semantic Segmentation, NeurIPS 2023, arXiv 2310.19252,
as its code computes them (zifuwanggg/JDTLosses, metrics/accuracy_metric.py, 68ce8ac). A class counts in a
picture if a pixel of the picture's truth has it: one that is only predicted there costs the others, whose
pixels it has taken. Of n scores the worst 5 % are the max(1, ⌊n/20⌋) lowest (the code's `q = 5`).
Other than there, a class that no picture has is left out of the means over classes: docs/evaluation.md.

Letters: N pictures, K classes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trainer.results.metrics import mean
from trainer.results.split_counts import SplitCounts

Scores = npt.NDArray[np.float64]
_ONE_IN = 20  # 5 %


class PictureScores(NamedTuple):
    """In percent, None where undefined.

    Attributes:
        image_mean, image_worst: over pictures, of the mean over the classes in each: mIoU^I, mIoU^I_5.
        class_mean, class_worst: over classes, of the mean over the pictures with each: mIoU^C, mIoU^C_5.
        by_class: (IoU, of the worst 5 %, pictures with the class) for each of the K classes.
    """

    image_mean: float | None
    image_worst: float | None
    class_mean: float | None
    class_worst: float | None
    by_class: tuple[tuple[float | None, float | None, int], ...]


def picture_scores(counts: SplitCounts) -> PictureScores:
    """All of them, the same whatever the order of the pictures."""
    ious = picture_ious(counts)
    images = np.array([_known(row).mean() for row in ious if not np.isnan(row).all()])
    columns = [_known(column) for column in ious.T]
    by_class = tuple((_mean(one), worst(one), len(one)) for one in columns)
    return PictureScores(
        image_mean=_mean(images),
        image_worst=worst(images),
        class_mean=mean([one for one, _, _ in by_class]),
        class_worst=mean([one for _, one, _ in by_class]),
        by_class=by_class,
    )


def picture_ious(counts: SplitCounts) -> Scores:
    """(N, K) IoU of each class in each picture in percent, NaN where the picture's truth does not have it."""
    labelled = counts.tp + counts.fn
    union = np.where(labelled > 0, labelled + counts.fp, 1)
    return np.where(labelled > 0, 100.0 * counts.tp / union, np.nan)


def worst(values: Scores) -> float | None:
    """Mean of the lowest 5 % of `values`, of at least one; None where there are none."""
    return _mean(np.sort(values)[: max(1, len(values) // _ONE_IN)])


def _known(values: Scores) -> Scores:
    return values[~np.isnan(values)]


def _mean(values: Scores) -> float | None:
    """Added in ascending order, so that any order gives the same bits."""
    return float(np.sort(values).mean()) if len(values) else None
