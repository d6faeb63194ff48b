"""From counts of a split to its scores.

Letters: K classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from trainer.results import metrics
from trainer.results.metrics import ClassCounts, Counts
from trainer.results.picture_metrics import PictureScores, picture_scores
from trainer.results.report import ClassScore, ConfusedPair, Scores
from trainer.results.scores import GroupScores
from trainer.results.split_counts import SplitCounts

_MOST_PAIRS = 10


def make_scores(
    counts: SplitCounts,
    *,
    class_names: Sequence[str],
    pixel_counts: Sequence[int],
    region_counts: Sequence[int],
    group_boundaries: tuple[float, float] | None = None,
) -> Scores:
    """Scores of one evaluation from its counts and the training frequencies.

    `group_boundaries`: shares of the classes at which head and body end; None: thirds.
    """
    totals = ClassCounts.of(counts.confusion)
    pictures = picture_scores(counts)
    groups = metrics.frequency_groups(pixel_counts, group_boundaries)
    groups_by_pictures = metrics.frequency_groups(region_counts, group_boundaries)
    ious, accs = metrics.iou(totals), metrics.accuracy(totals)
    by_group = metrics.group_means(ious, groups)
    return Scores(
        mIoU=metrics.mean(ious),
        mAcc=metrics.mean(accs),
        aAcc=metrics.overall_accuracy(totals),
        head_mIoU=by_group["head"],
        body_mIoU=by_group["body"],
        tail_mIoU=by_group["tail"],
        pearson_pixel=metrics.pearson(pixel_counts, accs),
        pearson_region=metrics.pearson(region_counts, accs),
        images=counts.images,
        image_mIoU=pictures.image_mean,
        image_mIoU_worst5=pictures.image_worst,
        class_image_mIoU=pictures.class_mean,
        class_image_mIoU_worst5=pictures.class_worst,
        region_frequency_groups=GroupScores(**metrics.group_means(ious, groups_by_pictures)),
        confused=confused_pairs(counts.confusion, class_names),
        classes=tuple(
            ClassScore(
                id=k,
                name=class_names[k],
                group=groups[k],
                pixel_frequency=int(pixel_counts[k]),
                region_frequency=int(region_counts[k]),
                **of_class,
            )
            for k, of_class in enumerate(_by_class(totals, pictures))
        ),
    )


def _by_class(totals: ClassCounts, pictures: PictureScores) -> Iterator[dict[str, Any]]:
    """The fields of each class's `ClassScore` that come from counts alone."""
    columns = zip(
        metrics.iou(totals),
        metrics.accuracy(totals),
        metrics.fp_tp(totals),
        *(counts.tolist() for counts in (totals.tp, totals.fp, totals.fn)),
        pictures.by_class,
        strict=True,
    )
    for iou, acc, ratio, tp, fp, fn, (image_iou, image_worst, images) in columns:
        yield {
            "iou": iou,
            "acc": acc,
            "fp_tp": ratio,
            "tp": tp,
            "fp": fp,
            "fn": fn,
            "image_iou": image_iou,
            "image_iou_worst5": image_worst,
            "images": images,
        }


def confused_pairs(confusion: Counts, class_names: Sequence[str]) -> tuple[ConfusedPair, ...]:
    """The pairs of different classes with the most pixels, most first, those without a pixel left out.

    Args:
        confusion: (K, K), rows = target.
    """
    mixed = confusion.copy()
    np.fill_diagonal(mixed, 0)
    labelled = confusion.sum(axis=1)
    largest = np.argsort(-mixed, axis=None, kind="stable")[:_MOST_PAIRS]  # of equals the first class
    cells = [divmod(int(cell), len(confusion)) for cell in largest]
    return tuple(
        ConfusedPair(
            truth=class_names[row],
            predicted=class_names[column],
            pixels=int(mixed[row, column]),
            share=100.0 * int(mixed[row, column]) / int(labelled[row]),
        )
        for row, column in cells
        if mixed[row, column]
    )
