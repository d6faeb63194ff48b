"""Made-up pictures of ADE20K's shape, and a criterion for as many classes."""

from __future__ import annotations

import torch
from torch import Tensor

from trainer.criterion import Criterion, build_criterion
from trainer.losses.reduction import Average
from trainer.results.metrics import frequency_groups
from trainer.spec.data.datasets import IGNORE_INDEX
from trainer.spec.methods import AnyMethod

CLASSES = 150
BLOBS = 10  # classes in a picture


def made_up_counts() -> list[int]:
    """Of each class: the rarest is 1000 times as rare as the most frequent one."""
    return [int(10**6 * 1000 ** (-k / (CLASSES - 1))) for k in range(CLASSES)]


def make_criterion(
    method: AnyMethod, feature_channels: int, align_corners: bool, average: Average = "valid"
) -> Criterion:
    """The criterion of `method`, with made-up counts."""
    counts = made_up_counts()
    return build_criterion(
        method,
        pixel_counts=counts,
        region_counts=counts,
        feature_channels=feature_channels,
        ignore_index=IGNORE_INDEX,
        seed=0,
        align_corners=align_corners,
        class_groups=frequency_groups(counts),
        loss_average=average,
    )


def blobs(size: int, generator: torch.Generator) -> Tensor:
    """(size, size) int64 labels: each pixel has the class of the nearest of 10 random points; some void."""
    place = torch.arange(size)
    points = torch.randint(0, size, (BLOBS, 2), generator=generator)
    classes = torch.randperm(CLASSES, generator=generator)[:BLOBS]
    rows = (place - points[:, :1]).square()[:, :, None]
    distances = rows + (place - points[:, 1:]).square()[:, None]  # (blobs, size, size)
    labels = classes[distances.argmin(dim=0)]
    labels[: size // 50] = IGNORE_INDEX
    return labels
