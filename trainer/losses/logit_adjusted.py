"""The log prior added to the logits in training: balanced softmax, and logit adjustment with a temperature.

At inference the logits are plain; the post-hoc form of logit adjustment is the other way round.

Letters: N images, K classes, H W label size.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from trainer.losses.class_counts import floored_counts
from trainer.losses.cross_entropy import cross_entropy
from trainer.losses.parameters import require
from trainer.losses.pixels import check_per_class, wide
from trainer.losses.reduction import LossSum, Unit


def log_prior_of(class_counts: Sequence[int]) -> Tensor:
    """(K,) float32 log of the class prior, which sums to 1 before the log; always finite.

    A class that never occurs is counted once (`floored_counts`).

    Raises:
        ValueError: see `floored_counts`.
    """
    counts = floored_counts(class_counts)
    return (counts.log() - counts.sum().log()).float()


def scaled_log_prior(class_counts: Sequence[int], *, temperature: float) -> Tensor:
    """(K,) float32, temperature times `log_prior_of`: what the post-hoc form takes off the logits.

    The model is trained without it, and predicts argmax_k z_k - temperature log P_k.

    Raises:
        ValueError: the temperature is negative or not finite; or see `floored_counts`.

    Source: Menon et al. 2021, Eq. (9).
    """
    _check(temperature)
    return temperature * log_prior_of(class_counts)


def adjusted(logits: Tensor, log_prior: Tensor) -> Tensor:
    """The sum of logits and log prior, class in dimension 1; (N, K, ...) like `logits`, float32 or wider.

    Raises:
        ValueError: `log_prior` is not (K,).
    """
    check_per_class("log_prior", log_prior, num_classes=logits.shape[1])
    values = wide(logits)
    return values + log_prior.to(values.dtype).reshape(-1, *[1] * (logits.dim() - 2))


def balanced_softmax(
    logits: Tensor, target: Tensor, log_prior: Tensor, *, ignore_index: int = 255
) -> LossSum:
    """Sum over valid pixels of the cross-entropy of logits + log prior, and the number of those pixels.

    Args:
        logits: (N, K, H, W), any float type.
        target: (N, H, W) int64, in [0, K) or `ignore_index`.
        log_prior: (K,) log of the class prior.
        ignore_index: the label of pixels that count nowhere.

    Raises:
        ValueError: shapes do not fit each other, or a label is out of range.

    Source: Ren et al. 2020, Eq. (4); on pixels in arXiv 2204.01969, Sec. 3.1.
    """
    return cross_entropy(adjusted(logits, log_prior), target, ignore_index=ignore_index)


class BalancedSoftmax(nn.Module):
    """`balanced_softmax` with the prior of the class counts it is made with."""

    log_prior: Tensor

    mean_over: Unit = "pixels"

    def __init__(self, class_counts: Sequence[int], *, ignore_index: int = 255) -> None:
        super().__init__()
        self.ignore_index = ignore_index
        self.register_buffer("log_prior", log_prior_of(class_counts), persistent=False)

    def forward(self, logits: Tensor, target: Tensor) -> LossSum:
        """See `balanced_softmax`."""
        return balanced_softmax(logits, target, self.log_prior, ignore_index=self.ignore_index)


def logit_adjusted(
    logits: Tensor, target: Tensor, log_prior: Tensor, *, temperature: float = 1.0, ignore_index: int = 255
) -> LossSum:
    """Sum over valid pixels of the cross-entropy of logits + temperature log prior, and how many those are.

    Args:
        logits: (N, K, H, W), any float type.
        target: (N, H, W) int64, in [0, K) or `ignore_index`.
        log_prior: (K,) log of the class prior.
        temperature: 1 is `balanced_softmax`, 0 `cross_entropy`, both bit for bit.
        ignore_index: the label of pixels that count nowhere.

    Raises:
        ValueError: the temperature is negative or not finite; shapes do not fit, or a label is out of range.

    Source: Menon et al. 2021, Eq. (10).
    """
    _check(temperature)
    return balanced_softmax(logits, target, temperature * log_prior, ignore_index=ignore_index)


def _check(temperature: float) -> None:
    require("temperature", temperature, temperature >= 0, "a finite number >= 0")


class LogitAdjusted(nn.Module):
    """`logit_adjusted` with the prior of the class counts it is made with."""

    log_prior: Tensor

    mean_over: Unit = "pixels"

    def __init__(
        self, class_counts: Sequence[int], *, temperature: float = 1.0, ignore_index: int = 255
    ) -> None:
        super().__init__()
        _check(temperature)
        self.temperature, self.ignore_index = temperature, ignore_index
        self.register_buffer("log_prior", log_prior_of(class_counts), persistent=False)

    def forward(self, logits: Tensor, target: Tensor) -> LossSum:
        """See `logit_adjusted`."""
        return logit_adjusted(
            logits,
            target,
            self.log_prior,
            temperature=self.temperature,
            ignore_index=self.ignore_index,
        )
