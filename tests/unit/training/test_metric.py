"""Confusion counts against written-out counting and against mmseg's own metric."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmengine.structures import PixelData
from mmseg.evaluation.metrics import IoUMetric

from tests.data_factories import confusion
from trainer.mmseg_adapter.hooks import ConfusionMetric
from trainer.report import make_scores

K, IGNORED = 5, 255


def samples(count: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(3)
    made = []
    for _ in range(count):
        target = rng.choice([0, 1, 2, 3, IGNORED], size=(1, 9, 11))
        predicted = np.where(rng.random(target.shape) < 0.6, target % K, rng.integers(0, K, target.shape))
        made.append(
            {
                "gt_sem_seg": {"data": torch.from_numpy(target)},
                "pred_sem_seg": {"data": torch.from_numpy(predicted)},
            }
        )
    return made


def test_counts_are_exact() -> None:
    """The metric's counts are those of a plain histogram, picture by picture and in batches."""
    data = samples(7)
    metric = ConfusionMetric(num_classes=K, ignore_index=IGNORED)
    for start in range(0, 7, 3):
        metric.process({}, data[start : start + 3])
    result = metric.evaluate(7)
    expected = sum(
        confusion(s["pred_sem_seg"]["data"], s["gt_sem_seg"]["data"], num_classes=K, ignore_index=IGNORED)
        for s in data
    )
    assert np.array_equal(result["confusion"], expected)
    assert result["confusion"].dtype == np.int64
    assert result["images"] == 7
    assert metric.evaluate(0)["images"] == 0, "an evaluation starts from nothing"


def test_scores_are_mmsegs() -> None:
    """mIoU, mAcc and aAcc equal mmseg's IoUMetric within its rounding to 0.01 points."""
    data = samples(7)
    metric = ConfusionMetric(num_classes=K, ignore_index=IGNORED)
    metric.process({}, data)
    counts = metric.evaluate(7)
    ours = make_scores(
        counts["confusion"],
        images=7,
        class_names="abcde",
        pixel_counts=[5, 4, 3, 2, 1],
        region_counts=[1] * K,
    )
    theirs = IoUMetric(ignore_index=IGNORED)
    theirs.dataset_meta = {"classes": tuple("abcde")}
    for sample in data:
        fields = {name: PixelData(data=value["data"]).to_dict() for name, value in sample.items()}
        theirs.process({}, [fields])
    expected = theirs.evaluate(7)
    for name in ("mIoU", "mAcc", "aAcc"):
        assert abs(getattr(ours, name) - expected[name]) <= 0.0051
