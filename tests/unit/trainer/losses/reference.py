"""The losses' definitions written out in float64, pixel by pixel: slow, and short enough to check by eye."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

IGNORE = 255
# Largest difference allowed, relative to the largest value expected.
TOLERANCE = {torch.float64: 1e-11, torch.float32: 1e-5, torch.bfloat16: 2e-2}
GRADIENT_TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4, torch.bfloat16: 4e-2}


def assert_near(
    actual: Tensor, expected: Tensor, dtype: torch.dtype, table: dict[torch.dtype, float] = TOLERANCE
) -> None:
    """Equal shapes, and equal values up to the table's share of the largest one expected."""
    assert actual.shape == expected.shape
    if expected.numel():
        ours, wanted = actual.detach().double(), expected.detach().double()
        assert (ours - wanted).abs().max() <= table[dtype] * wanted.abs().max().clamp(min=1e-3)


def cross_entropy_by_hand(
    logits: Tensor,
    target: Tensor,
    weights: Sequence[float] | None = None,
    prior: Sequence[float] | None = None,
) -> tuple[float, int]:
    """Sum over valid pixels of w_y (log sum_k P_k exp z_k - log P_y - z_y), and how many those are."""
    total, pixels = 0.0, 0
    for n, row, column in (target != IGNORE).nonzero().tolist():
        z, y = logits[n, :, row, column].double().tolist(), int(target[n, row, column])
        p = prior or [1.0] * len(z)
        partition = sum(p_k * math.exp(z_k) for p_k, z_k in zip(p, z, strict=True))
        total += (weights[y] if weights else 1.0) * (math.log(partition) - math.log(p[y]) - z[y])
        pixels += 1
    return total, pixels


def dice_by_hand(logits: Tensor, target: Tensor) -> tuple[float, int]:
    """Sum over images and classes present of 1 - 2 sum(p t) / (sum(p^2) + sum(t^2)), and how many terms."""
    total, regions = 0.0, 0
    for image, labels in zip(logits.double(), target, strict=True):
        valid = labels != IGNORE
        probs = image.exp() / image.exp().sum(dim=0)
        for k in labels[valid].unique().tolist():
            p, t = probs[k][valid], (labels[valid] == k).double()
            total += 1 - 2 * float((p * t).sum()) / float((p * p).sum() + (t * t).sum())
            regions += 1
    return total, regions


def upsample_then_mean(
    features: Tensor, target: Tensor, *, align_corners: bool, scope: str = "image"
) -> tuple[Tensor, list[tuple[int, int, int]]]:
    """(R, D) means over masks of the upsampled features, and (class, image, pixels) of each region."""
    full = functional.interpolate(
        features, size=target.shape[1:], mode="bilinear", align_corners=align_corners
    )
    rows, names = [], []
    groups = [[n] for n in range(len(target))] if scope == "image" else [list(range(len(target)))]
    for images in groups:
        values, labels = full[images], target[images]
        for k in labels[labels != IGNORE].unique().tolist():
            mask = labels == k
            rows.append((values * mask[:, None]).sum(dim=(0, 2, 3)) / mask.sum())
            names.append((k, images[int(mask.flatten(1).any(dim=1).nonzero()[0])], int(mask.sum())))
    return torch.stack(rows) if rows else full.new_zeros(0, full.shape[1]), names


def random_labels(generator: torch.Generator, shape: tuple[int, int, int], num_classes: int) -> Tensor:
    """(N, H, W) int64: every class and ignored pixels, all mixed."""
    labels = torch.randint(0, num_classes + 1, shape, generator=generator)
    return labels.masked_fill(labels == num_classes, IGNORE)


def _ignore_image(labels: Tensor) -> Tensor:
    return torch.cat([torch.full_like(labels[:1], IGNORE), labels[1:]])


_PATTERNS: dict[str, Callable[[Tensor], Tensor]] = {
    "mixed": lambda labels: labels,
    "ignored": lambda labels: torch.full_like(labels, IGNORE),
    "one class": torch.zeros_like,
    "one image ignored": _ignore_image,
    "one pixel": lambda labels: torch.full_like(labels, IGNORE).index_fill(2, torch.tensor([0]), 0),
}


@st.composite
def batches(draw: st.DrawFn, dtypes: Sequence[torch.dtype]) -> tuple[Tensor, Tensor, Tensor]:
    """(N, K, H, W) logits, (N, D, h, w) features and (N, H, W) labels: odd sizes, patterns and types."""
    size = st.integers(1, 7)
    images, num_classes, channels = draw(st.integers(1, 3)), draw(st.integers(1, 5)), draw(st.integers(1, 3))
    height, width, h, w = (draw(size) for _ in range(4))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    dtype = draw(st.sampled_from(list(dtypes)))
    scale = draw(st.sampled_from([1.0, 30.0]))
    logits = scale * torch.randn(images, num_classes, height, width, generator=generator)
    features = scale * torch.randn(images, channels, h, w, generator=generator)
    labels = random_labels(generator, (images, height, width), num_classes)
    pattern = _PATTERNS[draw(st.sampled_from(sorted(_PATTERNS)))]
    return logits.to(dtype), features.to(dtype), pattern(labels)
