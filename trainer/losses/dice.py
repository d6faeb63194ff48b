"""Dice loss over regions, one term for each class that an image's labels contain; and mmseg's, one an image.

Letters: N images, K classes, H W label size, R regions present.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from trainer.losses.pixels import check_logits, safe_target, valid_pixels, wide
from trainer.losses.reduction import LossSum, Unit

_MMSEG_EPS = 1e-3


def dice(logits: Tensor, target: Tensor, *, ignore_index: int = 255) -> LossSum:
    """Sum over regions of 1 - 2 sum(p t) / (sum(p^2) + sum(t^2)), and the number R of regions.

    p = softmax(logits) and t (one-hot labels) are of one class, the sums run over one image's valid pixels. A
    class that the image's labels do not contain has no term of its own: its probability is missing from the
    others. So the denominator is at least 1, and no smoothing constant is needed.

    Args:
        logits: (N, K, H, W), any float type; computed in float32 or wider.
        target: (N, H, W) int64, in [0, K) or `ignore_index`.
        ignore_index: the label of pixels that count nowhere.

    Raises:
        ValueError: shapes do not fit each other, or a label is out of range.

    mmseg's DiceLoss is another: see `mmseg_dice`.

    Source: Milletari et al. 2016 (V-Net), Sec. 3; "Dice Loss" of arXiv 2204.01969, Table 6.
    """
    images, num_classes = logits.shape[:2]
    check_logits(logits, target, num_classes=num_classes, ignore_index=ignore_index)
    valid = valid_pixels(target, ignore_index)
    labels = safe_target(target, valid)
    probs = wide(logits).softmax(dim=1) * valid[:, None]
    at_target = probs.gather(1, labels[:, None]).flatten(1)
    # One after the other into one number, a picture's pixels would lose digits in float32.
    empty = torch.zeros(images, num_classes, dtype=torch.float64, device=probs.device)
    overlap = empty.scatter_add(1, labels.flatten(1), at_target.double()).to(probs.dtype)  # (N, K) sum(p t)
    pixels = empty.scatter_add(1, labels.flatten(1), valid.flatten(1).double()).to(probs.dtype)  # sum(t^2)
    squares = probs.square().sum(dim=(2, 3))  # sum(p^2)
    present = pixels > 0
    terms = 1 - 2 * overlap / (squares + pixels).where(present, 1.0)
    return LossSum(terms.where(present, 0.0).sum(), present.sum())


def mmseg_dice(logits: Tensor, target: Tensor, *, ignore_index: int = 255) -> LossSum:
    """Sum over images of 1 - 2 sum(p t) / (sum(p^2) + sum(t^2) + 2 eps), and the number N of images.

    eps is 0.001, p the sigmoid of each logit; the sums run over all classes of an image together, which
    balances nothing. An ignored pixel has no t, but its p^2 count: as if it belonged to no class.

    Arguments and errors as in `dice`.

    Source: `DiceLoss` of mmsegmentation 1.x with all its defaults.
    """
    images, num_classes = logits.shape[:2]
    check_logits(logits, target, num_classes=num_classes, ignore_index=ignore_index)
    valid = valid_pixels(target, ignore_index)
    probs = wide(logits).sigmoid()
    at_target = probs.gather(1, safe_target(target, valid)[:, None])[:, 0]
    overlap = (at_target * valid).sum(dim=(1, 2))
    squares = probs.square().sum(dim=(1, 2, 3))
    terms = 1 - 2 * overlap / (squares + valid.sum(dim=(1, 2)) + 2 * _MMSEG_EPS)
    return LossSum(terms.sum(), torch.tensor(images, device=logits.device))


class Dice(nn.Module):
    """`dice`, or `mmseg_dice`, with its settings."""

    def __init__(self, *, form: Literal["region", "mmseg"] = "region", ignore_index: int = 255) -> None:
        super().__init__()
        self.form = form
        self.mean_over: Unit = "regions" if form == "region" else "all_images"
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, target: Tensor) -> LossSum:
        """See `dice` and `mmseg_dice`."""
        loss = dice if self.form == "region" else mmseg_dice
        return loss(logits, target, ignore_index=self.ignore_index)
