"""Focal loss on the softmax: pixels that are right already count less.

Letters: N images, K classes, H W label size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainer.losses.cross_entropy import cross_entropy, pixel_cross_entropy
from trainer.losses.parameters import require
from trainer.losses.pixels import valid_pixels
from trainer.losses.reduction import LossSum, Unit


def focal(logits: Tensor, target: Tensor, *, gamma: float = 2.0, ignore_index: int = 255) -> LossSum:
    """Sum over valid pixels of -(1 - p_y)^gamma log p_y, p = softmax(logits), and the number of those pixels.

    The paper's loss is on the sigmoid of a detector's classes; with the softmax it is the usual form where
    each pixel has one class. Its class weights (alpha) are left out.
    mmseg's FocalLoss is on the sigmoid alone.

    Args:
        logits: (N, K, H, W), any float type.
        target: (N, H, W) int64, in [0, K) or `ignore_index`.
        gamma: 0 is `cross_entropy`, bit for bit.
        ignore_index: the label of pixels that count nowhere.

    Raises:
        ValueError: gamma is negative or not finite; shapes do not fit each other, or a label is out of range.

    Source: Lin et al. 2017, Eq. (4).
    """
    require("gamma", gamma, gamma >= 0, "a finite number >= 0")
    if gamma == 0:
        return cross_entropy(logits, target, ignore_index=ignore_index)
    losses = pixel_cross_entropy(logits, target, ignore_index=ignore_index)
    # 1 - p without cancellation; above 0, because for gamma below 1 the slope of its power at 0 is infinite.
    wrong = (-torch.expm1(-losses)).clamp(min=torch.finfo(losses.dtype).tiny)
    return LossSum((wrong.pow(gamma) * losses).sum(), valid_pixels(target, ignore_index).sum())


class Focal(nn.Module):
    """`focal` with its settings."""

    mean_over: Unit = "pixels"

    def __init__(self, *, gamma: float = 2.0, ignore_index: int = 255) -> None:
        super().__init__()
        require("gamma", gamma, gamma >= 0, "a finite number >= 0")
        self.gamma, self.ignore_index = gamma, ignore_index

    def forward(self, logits: Tensor, target: Tensor) -> LossSum:
        """See `focal`."""
        return focal(logits, target, gamma=self.gamma, ignore_index=self.ignore_index)
