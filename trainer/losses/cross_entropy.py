"""Cross-entropy as a sum over valid pixels: the baseline, and what the rebalanced pixel losses are made of.

Letters: N images, K classes, H W label size.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from trainer.losses.pixels import check_logits, check_per_class, valid_pixels, wide
from trainer.losses.reduction import LossSum, Unit


def cross_entropy(
    logits: Tensor, target: Tensor, *, ignore_index: int = 255, class_weights: Tensor | None = None
) -> LossSum:
    """Sum of -w_y log softmax(logits)_y over valid pixels, and the number of those pixels.

    Args:
        logits: (N, K, H, W), any float type; computed in float32 or wider, under autocast too.
        target: (N, H, W) int64, in [0, K) or `ignore_index`.
        ignore_index: the label of pixels that count nowhere.
        class_weights: (K,) float, w; all 1 if left out. They enter the sum, not the count.

    Raises:
        ValueError: shapes do not fit each other, or a label is out of range.

    Source: arXiv 2204.01969, L_pixel of Eq. (9), up to the division by the count.
    """
    check_logits(logits, target, num_classes=logits.shape[1], ignore_index=ignore_index)
    values = wide(logits)
    if class_weights is not None:
        check_per_class("class_weights", class_weights, num_classes=logits.shape[1])
    weights = None if class_weights is None else class_weights.to(values.dtype)
    total = functional.cross_entropy(
        values, target, weight=weights, ignore_index=ignore_index, reduction="sum"
    )
    return LossSum(total, valid_pixels(target, ignore_index).sum())


def pixel_cross_entropy(logits: Tensor, target: Tensor, *, ignore_index: int = 255) -> Tensor:
    """(N, H, W) float32 or wider, -log softmax(logits)_y of each pixel; 0 with zero gradient where ignored.

    Arguments and errors as in `cross_entropy`.
    """
    check_logits(logits, target, num_classes=logits.shape[1], ignore_index=ignore_index)
    return functional.cross_entropy(wide(logits), target, ignore_index=ignore_index, reduction="none")


class CrossEntropy(nn.Module):
    """`cross_entropy` with its settings."""

    mean_over: Unit = "pixels"

    def __init__(self, *, ignore_index: int = 255) -> None:
        super().__init__()
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, target: Tensor) -> LossSum:
        """See `cross_entropy`."""
        return cross_entropy(logits, target, ignore_index=self.ignore_index)
