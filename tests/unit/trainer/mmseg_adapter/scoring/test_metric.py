"""Confusion counts against written-out counting and against mmseg's own metric."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.evaluation.metrics import IoUMetric
from PIL import Image

from tests.data_factories import confusion
from trainer.mmseg_adapter.scoring.metric import ConfusionMetric
from trainer.results.from_counts import make_scores

K, IGNORED = 5, 255
ROUNDING = 0.01  # points: IoUMetric sums in float32 and rounds to two decimals


_PATHS = (f"/data/p{number}.png" for number in count())


def as_sample(predicted: np.ndarray[Any, Any], target: np.ndarray[Any, Any]) -> dict[str, Any]:
    """(1, H, W) labels of a picture of its own as an evaluator hands them to a metric."""
    return {
        "img_path": next(_PATHS),
        "gt_sem_seg": {"data": torch.from_numpy(target)},
        "pred_sem_seg": {"data": torch.from_numpy(predicted)},
    }


def samples(number: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(3)
    made = []
    for _ in range(number):
        target = rng.choice([0, 1, 2, 3, IGNORED], size=(1, 9, 11))
        predicted = np.where(rng.random(target.shape) < 0.6, target % K, rng.integers(0, K, target.shape))
        made.append(as_sample(predicted, target))
    return made


def test_counts_are_exact() -> None:
    """The metric's counts are those of a plain histogram, picture by picture and in batches."""
    data = samples(7)
    metric = ConfusionMetric(num_classes=K, ignore_index=IGNORED)
    for start in range(0, 7, 3):
        metric.process({}, data[start : start + 3])
    result = metric.evaluate(7)["counts"]
    expected = sum(
        confusion(s["pred_sem_seg"]["data"], s["gt_sem_seg"]["data"], num_classes=K, ignore_index=IGNORED)
        for s in data
    )
    assert np.array_equal(result.confusion, expected)
    assert result.confusion.dtype == np.int64
    assert result.images == 7
    assert metric.evaluate(0)["counts"].images == 0, "an evaluation starts from nothing"


def assert_scores_are_mmsegs(data: Sequence[dict[str, Any]], num_classes: int) -> None:
    """aAcc, mIoU and mAcc of the samples equal those of mmseg's IoUMetric within its rounding."""
    metric = ConfusionMetric(num_classes=num_classes, ignore_index=IGNORED)
    metric.process({}, data)
    counts = metric.evaluate(len(data))["counts"]
    names = [f"class {k}" for k in range(num_classes)]
    ours = make_scores(
        counts,
        class_names=names,
        pixel_counts=range(num_classes),
        region_counts=[1] * num_classes,
    )
    theirs = IoUMetric(ignore_index=IGNORED)
    theirs.dataset_meta = {"classes": tuple(names)}
    for sample in data:
        maps = {name: value for name, value in sample.items() if name != "img_path"}
        fields = {name: PixelData(data=value["data"]).to_dict() for name, value in maps.items()}
        theirs.process({}, [fields])
    expected = theirs.evaluate(len(data))
    for name in ("mIoU", "mAcc", "aAcc"):
        assert abs(getattr(ours, name) - expected[name]) <= ROUNDING, name


@pytest.mark.parametrize("num_classes", [2, 5, 19, 150])
@pytest.mark.parametrize("seed", [0, 1])
def test_scores_are_mmsegs(num_classes: int, seed: int) -> None:
    """Random predictions, with classes in neither, only predicted or only labelled, and ignored pixels."""
    rng = np.random.default_rng([seed, num_classes])
    labelled = rng.permutation(num_classes)[: 1 + num_classes // 2]
    guessed = rng.permutation(num_classes)[: 1 + num_classes // 2]
    data = []
    for _ in range(5):
        target = rng.choice([*labelled, IGNORED], size=(1, 40, 30))
        wrong = rng.choice(guessed, size=target.shape)
        predicted = np.where((target == IGNORED) | (rng.random(target.shape) < 0.4), wrong, target)
        data.append(as_sample(predicted, target))
    assert_scores_are_mmsegs(data, num_classes)


def test_scores_are_mmsegs_on_camvid(camvid: Path) -> None:
    """CamVid's masks against themselves, moved by a few pixels and with a tenth of all labels wrong."""
    rng = np.random.default_rng(0)
    num_classes = len((camvid / "classes.txt").read_text().splitlines())
    data = []
    for path in sorted((camvid / "annotations" / "test").glob("*.png"))[:6]:
        target = np.asarray(Image.open(path))[None].astype(np.int64)
        moved = np.roll(target, (int(rng.integers(1, 6)), -4), axis=(1, 2))
        noisy = (moved == IGNORED) | (rng.random(moved.shape) < 0.1)
        predicted = np.where(noisy, rng.integers(0, num_classes, moved.shape), moved)
        data.append(as_sample(predicted, target))
    assert len(data) == 6
    assert_scores_are_mmsegs(data, num_classes)


@pytest.mark.parametrize("label", [K, K + 1, 254, -1])
def test_labels_out_of_range_are_refused(label: int) -> None:
    """A label that is no class is an error that names it, whatever is predicted there: never counted."""
    for predicted in range(K):
        target = np.zeros((1, 3, 3), dtype=np.int64)
        target[0, 1, 1] = label
        metric = ConfusionMetric(num_classes=K, ignore_index=IGNORED)
        with pytest.raises(ValueError, match=str(label)):
            metric.process({}, [as_sample(np.full((1, 3, 3), predicted), target)])


def test_nothing_but_ignored_pixels() -> None:
    """A picture without a valid pixel adds nothing but itself."""
    metric = ConfusionMetric(num_classes=K, ignore_index=IGNORED)
    metric.process({}, [as_sample(np.zeros((1, 4, 4), dtype=np.int64), np.full((1, 4, 4), IGNORED))])
    counts = metric.evaluate(1)["counts"]
    assert counts.images == 1
    assert not counts.confusion.any()
