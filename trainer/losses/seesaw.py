"""Seesaw loss: a frequent class pushes down the logit of a rarer one less, and a wrong winner more.

Letters: N images, K classes, H W label size; i the true class of a pixel, j another.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainer.losses.cross_entropy import cross_entropy
from trainer.losses.parameters import require
from trainer.losses.pixels import (
    check_logits,
    check_per_class,
    pixels_of_classes,
    safe_target,
    valid_pixels,
    wide,
)
from trainer.losses.reduction import LossSum, Unit, sum_over_ranks


def seesaw(
    logits: Tensor,
    target: Tensor,
    class_counts: Tensor,
    *,
    mitigation: float = 0.8,
    compensation: float = 2.0,
    ignore_index: int = 255,
) -> LossSum:
    """Sum over valid pixels of -log(e^z_i / (e^z_i + sum_j S_ij e^z_j)), and the number of those pixels.

    S_ij = M_ij C_ij is constant for the gradient. Mitigation: M_ij = min(1, N_j / N_i)^p, N a class's pixels
    seen so far. Compensation: C_ij = max(1, sigma_j / sigma_i)^q, sigma = softmax(logits), so that
    log C_ij = q max(0, z_j - z_i) without any softmax. We follow the paper; the authors' code (mmdetection)
    puts max(sigma_i, 0.01) below the line, which leaves C at 1 where all probabilities are small. The paper's
    normalised classifier and objectness branch are not part of this: logits are as the head gives them.

    Args:
        logits: (N, K, H, W), any float type.
        target: (N, H, W) int64, in [0, K) or `ignore_index`.
        class_counts: (K,) int64, N; counts below 1 are raised to 1.
        mitigation: p.
        compensation: q. p = q = 0 is `cross_entropy`, bit for bit.
        ignore_index: the label of pixels that count nowhere.

    Raises:
        ValueError: p or q is negative or not finite; shapes do not fit, or a label is out of range.

    Source: Wang et al. 2021 (arXiv 2008.10032), the Seesaw loss with its two factors.
    """
    _check(mitigation, compensation)
    check_logits(logits, target, num_classes=logits.shape[1], ignore_index=ignore_index)
    values = wide(logits)
    check_per_class("class_counts", class_counts, num_classes=logits.shape[1])
    with torch.no_grad():
        labels = safe_target(target, valid_pixels(target, ignore_index))
        log_factors = compensation * (values - values.gather(1, labels[:, None])).relu_()
        if mitigation:
            log_counts = class_counts.clamp(min=1).double().log()
            ratios = (log_counts - log_counts[:, None]).clamp(max=0)  # (K, K), row i
            log_factors += (mitigation * ratios).to(values.dtype)[labels].movedim(-1, 1)
    return cross_entropy(values + log_factors, target, ignore_index=ignore_index)


def _check(mitigation: float, compensation: float) -> None:
    require("mitigation", mitigation, mitigation >= 0, "a finite number >= 0")
    require("compensation", compensation, compensation >= 0, "a finite number >= 0")


class Seesaw(nn.Module):
    """`seesaw` with the pixels of each class counted over training so far, this step and all ranks included.

    The counts are part of the state, so that a resumed run goes on with them. In training mode a collective
    call.
    """

    class_counts: Tensor
    mean_over: Unit = "pixels"

    def __init__(
        self,
        num_classes: int,
        *,
        mitigation: float = 0.8,
        compensation: float = 2.0,
        ignore_index: int = 255,
    ) -> None:
        super().__init__()
        _check(mitigation, compensation)
        self.mitigation, self.compensation, self.ignore_index = mitigation, compensation, ignore_index
        self.register_buffer("class_counts", torch.zeros(num_classes, dtype=torch.int64))

    def forward(self, logits: Tensor, target: Tensor) -> LossSum:
        """See `seesaw`. In training mode the batch's pixels are counted first."""
        num_classes = len(self.class_counts)
        check_logits(logits, target, num_classes=num_classes, ignore_index=self.ignore_index)
        if self.training:
            valid = valid_pixels(target, self.ignore_index)
            self.class_counts += sum_over_ranks(pixels_of_classes(target, valid, num_classes))
        return seesaw(
            logits,
            target,
            self.class_counts,
            mitigation=self.mitigation,
            compensation=self.compensation,
            ignore_index=self.ignore_index,
        )
