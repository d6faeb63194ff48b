"""Online hard example mining: cross-entropy on the pixels that the model is least sure of.

mmseg has one (OhemCrossEntropy), equal to ours where it works; it gives NaN where no pixel is below the
threshold, a constant without a graph where all are ignored, and its smallest number of pixels is absolute.
Letters: N images, K classes, H W label size.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from trainer.losses.cross_entropy import pixel_cross_entropy
from trainer.losses.parameters import require
from trainer.losses.pixels import valid_pixels
from trainer.losses.reduction import LossSum, Unit


def ohem(
    logits: Tensor,
    target: Tensor,
    *,
    threshold: float = 0.7,
    min_kept: float = 0.0625,
    ignore_index: int = 255,
) -> LossSum:
    """Sum of -log p_y over the hard pixels, p = softmax(logits), and the number of those pixels.

    Hard are the valid pixels with p_y < threshold; where they are fewer than ceil(min_kept * valid pixels),
    the so many with the smallest p_y. Chosen among this rank's pixels; the mean is over all ranks' hard ones.

    Args:
        logits: (N, K, H, W), any float type.
        target: (N, H, W) int64, in [0, K) or `ignore_index`.
        threshold: of the probability of the true class.
        min_kept: share of the valid pixels. 1 keeps them all, which is `cross_entropy` up to rounding.
        ignore_index: the label of pixels that count nowhere.

    Raises:
        ValueError: a setting is not in (0, 1]; shapes do not fit each other, or a label is out of range.

    Source: Shrivastava et al. 2016 for the idea; on pixels, with a threshold and a smallest number to keep,
    Wu et al. 2016 (arXiv 1605.06885).
    """
    _check(threshold, min_kept)
    losses = pixel_cross_entropy(logits, target, ignore_index=ignore_index)
    with torch.no_grad():
        valid = valid_pixels(target, ignore_index)
        hard = valid & (torch.exp(-losses) < threshold)
        fewest = math.ceil(round(min_kept * int(valid.sum()), 6))  # rounded: 0.07 * 100 is above 7
        if int(hard.sum()) < fewest:
            ranked = losses.masked_fill(~valid, -1).flatten()
            hard = torch.zeros_like(hard).flatten().scatter_(0, ranked.topk(fewest).indices, True)
    return LossSum((losses * hard.view_as(losses)).sum(), hard.sum())


def _check(threshold: float, min_kept: float) -> None:
    require("threshold", threshold, 0 < threshold <= 1, "0 < threshold <= 1")
    require("min_kept", min_kept, 0 < min_kept <= 1, "0 < min_kept <= 1")


class Ohem(nn.Module):
    """`ohem` with its settings."""

    mean_over: Unit = "own"

    def __init__(self, *, threshold: float = 0.7, min_kept: float = 0.0625, ignore_index: int = 255) -> None:
        super().__init__()
        _check(threshold, min_kept)
        self.threshold, self.min_kept, self.ignore_index = threshold, min_kept, ignore_index

    def forward(self, logits: Tensor, target: Tensor) -> LossSum:
        """See `ohem`."""
        return ohem(
            logits,
            target,
            threshold=self.threshold,
            min_kept=self.min_kept,
            ignore_index=self.ignore_index,
        )
