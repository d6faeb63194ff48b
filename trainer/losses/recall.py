"""Recall loss: cross-entropy weighted by the share of each class's pixels that the model just missed.

Letters: N images, K classes, H W label size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainer.losses.cross_entropy import cross_entropy
from trainer.losses.pixels import check_logits, pixels_of_classes, valid_pixels
from trainer.losses.reduction import LossSum, Unit, sum_over_ranks


@torch.no_grad()
def recall_weights(logits: Tensor, target: Tensor, *, ignore_index: int = 255) -> Tensor:
    """(K,) float32, FN / (TP + FN) of each class in the current batch of all ranks; a collective call.

    FN and TP + FN below 1 count as 1, as in the authors' code: a class without a miss keeps the weight
    1 / (its pixels) where the paper's formula gives 0. Their code also counts ignored pixels, as if of
    class 1; we leave them out, as the paper's formula does.

    Arguments and errors as in `recall`.
    """
    num_classes = logits.shape[1]
    check_logits(logits, target, num_classes=num_classes, ignore_index=ignore_index)
    valid = valid_pixels(target, ignore_index)
    missed = valid & (logits.argmax(dim=1) != target)
    counts = torch.stack([pixels_of_classes(target, which, num_classes) for which in (missed, valid)])
    false_negatives, pixels = sum_over_ranks(counts).clamp(min=1).double().unbind()
    return (false_negatives / pixels).float()


def recall(logits: Tensor, target: Tensor, *, ignore_index: int = 255) -> LossSum:
    """Sum over valid pixels of -w_y log softmax(logits)_y, w of `recall_weights`, and how many those are.

    The weights are constant for the gradient. They are of all ranks' pixels, so the mean does not depend on
    how a batch is split over workers.

    Args:
        logits: (N, K, H, W), any float type.
        target: (N, H, W) int64, in [0, K) or `ignore_index`.
        ignore_index: the label of pixels that count nowhere.

    Raises:
        ValueError: shapes do not fit each other, or a label is out of range.

    Source: Tian et al. 2022 (arXiv 2106.14917), the loss weighted by 1 - recall of the current batch.
    """
    weights = recall_weights(logits, target, ignore_index=ignore_index)
    return cross_entropy(logits, target, ignore_index=ignore_index, class_weights=weights)


class Recall(nn.Module):
    """`recall` with its settings."""

    mean_over: Unit = "pixels"

    def __init__(self, *, ignore_index: int = 255) -> None:
        super().__init__()
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, target: Tensor) -> LossSum:
        """See `recall`."""
        return recall(logits, target, ignore_index=self.ignore_index)
