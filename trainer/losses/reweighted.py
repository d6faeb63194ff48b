"""Pixel cross-entropy with class weights.

Letters: N images, K classes, H W label size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainer.losses.class_counts import floored_counts
from trainer.losses.cross_entropy import cross_entropy
from trainer.losses.reduction import LossSum


def inverse_frequency_weights(class_counts: Sequence[int]) -> Tensor:
    """(K,) float32 weights proportional to 1 / count, with mean 1 over the classes that occur.

    A class that never occurs gets the weight of one that is counted once (`floored_counts`); it is left out
    of the mean.

    Raises:
        ValueError: see `floored_counts`.

    Source: the re-weighting of arXiv 2204.01969, Table 1.
    """
    inverse = floored_counts(class_counts).reciprocal()
    occurs = torch.tensor([count > 0 for count in class_counts])
    return (inverse / inverse[occurs].mean()).float()


class Reweighted(nn.Module):
    """Cross-entropy weighted by inverse class frequency; its mean is over pixels, not over their weights.

    Dividing by the weights' sum would cancel them wherever a batch has one class only.
    """

    class_weights: Tensor

    def __init__(self, class_counts: Sequence[int], *, ignore_index: int = 255) -> None:
        super().__init__()
        self.ignore_index = ignore_index
        self.register_buffer("class_weights", inverse_frequency_weights(class_counts), persistent=False)

    def forward(self, logits: Tensor, target: Tensor) -> LossSum:
        """See `cross_entropy`."""
        return cross_entropy(logits, target, ignore_index=self.ignore_index, class_weights=self.class_weights)
