"""Definitions of the pixel losses beyond cross-entropy, written out in float64, one pixel at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from torch import Tensor

from tests.unit.trainer.losses.reference import IGNORE

Hand = tuple[float, int]


def pixels_of(logits: Tensor, target: Tensor) -> Iterator[tuple[list[float], int]]:
    """(logits, class) of every valid pixel."""
    for n, row, column in (target != IGNORE).nonzero().tolist():
        yield logits[n, :, row, column].double().tolist(), int(target[n, row, column])


def softmax(z: Sequence[float]) -> list[float]:
    largest = max(z)
    powers = [math.exp(value - largest) for value in z]
    return [power / sum(powers) for power in powers]


def effective_number_by_hand(counts: Sequence[int], beta: float) -> list[float]:
    """(1 - beta) / (1 - beta^n), made to have mean 1."""
    raw = [(1 - beta) / (1 - beta**count) for count in counts]
    return [len(raw) * value / sum(raw) for value in raw]


def ldam_by_hand(
    logits: Tensor, target: Tensor, counts: Sequence[int], max_margin: float, scale: float
) -> Hand:
    """Sum of -log e^{s (z_y - D_y)} / (e^{s (z_y - D_y)} + sum_{j != y} e^{s z_j}), D_j = C / n_j^(1/4)."""
    constant = max_margin * min(counts) ** 0.25
    total, pixels = 0.0, 0
    for z, y in pixels_of(logits, target):
        shifted = [scale * value for value in z]
        shifted[y] = scale * (z[y] - constant / counts[y] ** 0.25)
        total -= math.log(softmax(shifted)[y])
        pixels += 1
    return total, pixels


def focal_by_hand(logits: Tensor, target: Tensor, gamma: float) -> Hand:
    """Sum of -(1 - p_y)^gamma log p_y."""
    total, pixels = 0.0, 0
    for z, y in pixels_of(logits, target):
        p = softmax(z)[y]
        total -= (1 - p) ** gamma * math.log(p)
        pixels += 1
    return total, pixels


def seesaw_by_hand(logits: Tensor, target: Tensor, counts: Sequence[int], p: float, q: float) -> Hand:
    """Sum of -log e^{z_i} / (sum_{j != i} M_ij C_ij e^{z_j} + e^{z_i})."""
    total, pixels = 0.0, 0
    for z, i in pixels_of(logits, target):
        sigma = softmax(z)
        denominator = math.exp(z[i])
        for j in range(len(z)):
            mitigation = (counts[j] / counts[i]) ** p if counts[i] > counts[j] else 1.0
            compensation = (sigma[j] / sigma[i]) ** q if sigma[j] > sigma[i] else 1.0
            denominator += mitigation * compensation * math.exp(z[j]) if j != i else 0.0
        total -= math.log(math.exp(z[i]) / denominator)
        pixels += 1
    return total, pixels


def recall_by_hand(logits: Tensor, target: Tensor) -> Hand:
    """Sum of -(FN_y / (TP_y + FN_y)) log p_y, a count of none taken as 1."""
    missed, counts = [0] * logits.shape[1], [0] * logits.shape[1]
    for z, y in pixels_of(logits, target):
        counts[y] += 1
        missed[y] += z.index(max(z)) != y
    total = 0.0
    for z, y in pixels_of(logits, target):
        total -= max(missed[y], 1) / max(counts[y], 1) * math.log(softmax(z)[y])
    return total, sum(counts)


def blv_by_hand(logits: Tensor, target: Tensor, counts: Sequence[int], noise: Tensor) -> Hand:
    """Sum of the cross-entropy of z_k + c_k / max c |noise_k|, c_k = log sum n - log n_k."""
    scale = [math.log(sum(counts) / count) for count in counts]
    total, pixels = 0.0, 0
    for (z, y), (extra, _) in zip(pixels_of(logits, target), pixels_of(noise, target), strict=True):
        moved = [
            value + c / max(scale) * abs(amount) for value, c, amount in zip(z, scale, extra, strict=True)
        ]
        total -= math.log(softmax(moved)[y])
        pixels += 1
    return total, pixels


def ohem_by_hand(logits: Tensor, target: Tensor, threshold: float, min_kept: float) -> Hand:
    """Sum of -log p_y where p_y is below the threshold, or over the smallest p_y if those are few."""
    probs = sorted(softmax(z)[y] for z, y in pixels_of(logits, target))
    below = sum(p < threshold for p in probs)
    kept = probs[: max(below, math.ceil(min_kept * len(probs)))]
    return -sum(math.log(p) for p in kept), len(kept)


def jaccard_loss(mistaken: set[int], foreground: set[int]) -> float:
    """1 - IoU of a class whose pixels are `foreground`, where the `mistaken` pixels are wrong."""
    return 1 - len(foreground - mistaken) / len(foreground | mistaken)


def lovasz_by_hand(logits: Tensor, target: Tensor, scope: str) -> Hand:
    """Sum over units of the mean over classes of sum_i m_i (J({1..i}) - J({1..i-1})), errors m downwards."""
    images = [[n] for n in range(len(target))] if scope == "image" else [list(range(len(target)))]
    total, units = 0.0, 0
    for unit in images:
        pixels = [(softmax(z), y) for z, y in pixels_of(logits[unit], target[unit])]
        classes = {y for _, y in pixels}
        for k in classes:
            foreground = {index for index, (_, y) in enumerate(pixels) if y == k}
            errors = [abs((y == k) - p[k]) for p, y in pixels]
            mistaken: set[int] = set()
            for index in sorted(range(len(pixels)), key=lambda index: -errors[index]):
                before = jaccard_loss(mistaken, foreground)
                mistaken.add(index)
                total += errors[index] * (jaccard_loss(mistaken, foreground) - before) / len(classes)
        units += bool(pixels)
    return total, units
