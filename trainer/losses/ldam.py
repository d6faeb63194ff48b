"""Label-distribution-aware margin loss: the true class must win by a margin, a larger one for rarer classes.

Letters: N images, K classes, H W label size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainer.losses.class_counts import floored_counts
from trainer.losses.cross_entropy import cross_entropy
from trainer.losses.parameters import require
from trainer.losses.pixels import check_logits, check_per_class, safe_target, valid_pixels, wide
from trainer.losses.reduction import LossSum, Unit


def margins_of(class_counts: Sequence[int], *, max_margin: float) -> Tensor:
    """(K,) float32 margins proportional to count^(-1/4); the rarest class that occurs has `max_margin`.

    A class that never occurs is never a pixel's true class: its margin, also `max_margin`, has no effect.

    Raises:
        ValueError: `max_margin` is negative or not finite; or see `floored_counts`.

    Source: Cao et al. 2019, Sec. 3.2; the constant set by a largest margin, as in the authors' code.
    """
    require("max_margin", max_margin, max_margin >= 0, "a finite number >= 0")
    roots = floored_counts(class_counts).pow(-0.25)
    occurs = torch.tensor([count > 0 for count in class_counts])
    return (max_margin * (roots / roots[occurs].max()).clamp(max=1)).float()


def ldam(
    logits: Tensor, target: Tensor, margins: Tensor, *, scale: float = 1.0, ignore_index: int = 255
) -> LossSum:
    """Sum over valid pixels of the cross-entropy of scale (z - margin_y e_y), and the number of those pixels.

    The authors' z are cosines of normalised features and weights, which a scale of 30 stretches. Ours are the
    plain outputs of a classifier, as mmseg's heads give them, and not bounded: a margin counts for less, and
    a scale multiplies the gradient. With 30 the `small` model on digit scenes diverges at its learning rate
    (a loss of 8 at the first step, of some hundreds at the fiftieth), so the default is 1.

    Args:
        logits: (N, K, H, W), any float type.
        target: (N, H, W) int64, in [0, K) or `ignore_index`.
        margins: (K,), of `margins_of`.
        scale: multiplies the logits once the margin is off; 1 and no margins is `cross_entropy`, bit for bit.
        ignore_index: the label of pixels that count nowhere.

    Raises:
        ValueError: the scale is not above 0; shapes do not fit each other, or a label is out of range.

    Source: Cao et al. 2019, Sec. 3.2; a scale, 30, is in the authors' code.
    """
    require("scale", scale, scale > 0, "a finite number > 0")
    check_logits(logits, target, num_classes=logits.shape[1], ignore_index=ignore_index)
    values = wide(logits)
    labels = safe_target(target, valid_pixels(target, ignore_index))
    check_per_class("margins", margins, num_classes=logits.shape[1])
    off = -margins.to(values.dtype)[labels]
    shifted = scale * values.scatter_add(1, labels[:, None], off[:, None])
    return cross_entropy(shifted, target, ignore_index=ignore_index)


class Ldam(nn.Module):
    """`ldam` with the margins of the class counts it is made with."""

    margins: Tensor

    mean_over: Unit = "pixels"

    def __init__(
        self,
        class_counts: Sequence[int],
        *,
        max_margin: float = 0.5,
        scale: float = 1.0,
        ignore_index: int = 255,
    ) -> None:
        super().__init__()
        require("scale", scale, scale > 0, "a finite number > 0")
        self.scale, self.ignore_index = scale, ignore_index
        self.register_buffer("margins", margins_of(class_counts, max_margin=max_margin), persistent=False)

    def forward(self, logits: Tensor, target: Tensor) -> LossSum:
        """See `ldam`."""
        return ldam(logits, target, self.margins, scale=self.scale, ignore_index=self.ignore_index)
