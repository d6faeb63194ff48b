"""Pixel cross-entropy with class weights.

Letters: N images, K classes, H W label size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainer.losses.class_counts import floored_counts
from trainer.losses.cross_entropy import cross_entropy
from trainer.losses.parameters import require
from trainer.losses.reduction import LossSum, Unit


def inverse_frequency_weights(class_counts: Sequence[int]) -> Tensor:
    """(K,) float32 weights proportional to 1 / count, with mean 1 over the classes that occur.

    A class that never occurs gets the weight of the rarest that does, and is left out of the mean: that of
    a class counted once could be a billion, and one stray label would drown a batch.

    Raises:
        ValueError: see `floored_counts`.

    Source: the re-weighting of arXiv 2204.01969, Table 1.
    """
    return _with_mean_one(floored_counts(class_counts).reciprocal(), class_counts)


def effective_number_weights(class_counts: Sequence[int], *, beta: float) -> Tensor:
    """(K,) float32 weights proportional to (1 - beta) / (1 - beta^count), with mean 1 over occurring classes.

    beta 0 gives ones, beta towards 1 inverse frequency. A class that never occurs: as in
    `inverse_frequency_weights`. The authors make the weights add up to K, which is the same mean.

    Raises:
        ValueError: beta is not in [0, 1); or see `floored_counts`.

    Source: Cui et al. 2019, Proposition 1 (the effective number) and Sec. 4 (its reciprocal as weight).
    """
    require("beta", beta, 0 <= beta < 1, "0 <= beta < 1")
    counts = floored_counts(class_counts)
    # log1p and expm1: near beta 1 both 1 - beta and 1 - beta^count would lose their digits.
    log_beta = torch.tensor(beta - 1, dtype=torch.float64).log1p()
    return _with_mean_one(torch.expm1(log_beta) / torch.expm1(counts * log_beta), class_counts)


def _with_mean_one(weights: Tensor, class_counts: Sequence[int]) -> Tensor:
    """(K,) float32 `weights` over their mean, and at most their maximum, over the classes that occur."""
    occurs = torch.tensor([count > 0 for count in class_counts])
    return (weights.clamp(max=weights[occurs].max()) / weights[occurs].mean()).float()


class Reweighted(nn.Module):
    """Cross-entropy with weights from class counts; its mean is over pixels, not over their weights.

    Dividing by the weights' sum would cancel them wherever a batch has one class only.
    """

    class_weights: Tensor

    mean_over: Unit = "pixels"

    def __init__(
        self, class_counts: Sequence[int], *, beta: float | None = None, ignore_index: int = 255
    ) -> None:
        """`beta`: of `effective_number_weights`; None for `inverse_frequency_weights`."""
        super().__init__()
        self.ignore_index = ignore_index
        weights = (
            inverse_frequency_weights(class_counts)
            if beta is None
            else effective_number_weights(class_counts, beta=beta)
        )
        self.register_buffer("class_weights", weights, persistent=False)

    def forward(self, logits: Tensor, target: Tensor) -> LossSum:
        """See `cross_entropy`."""
        return cross_entropy(logits, target, ignore_index=self.ignore_index, class_weights=self.class_weights)
