"""Lovász-softmax: a convex stand-in for 1 - IoU, averaged over the classes that the labels contain.

mmseg has one (mmseg.models.losses.lovasz_softmax), equal to ours on ordinary float32 input; it raises in
float64 and where exactly one pixel is valid, and keeps a copy of all pixels for each class.
Letters: N images, K classes, H W label size, P valid pixels of one unit (a batch or an image).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from trainer.losses.pixels import check_logits, safe_target, valid_pixels, wide
from trainer.losses.reduction import LossSum, Unit

LovaszScope = Literal["batch", "image"]


def lovasz(
    logits: Tensor, target: Tensor, *, scope: LovaszScope = "batch", ignore_index: int = 255
) -> LossSum:
    """Sum over units of the mean over classes present of the Lovász extension of 1 - IoU, and how many units.

    A unit is what IoU is taken of: all valid pixels of this rank's batch, or of one image. A unit without a
    valid pixel is none. For one class the errors m = |t - p| (t one-hot labels, p = softmax(logits)) are
    sorted downwards and weighted by how much the Jaccard loss grows with each pixel in that order.

    Args:
        logits: (N, K, H, W), any float type; computed in float32 or wider.
        target: (N, H, W) int64, in [0, K) or `ignore_index`.
        scope: "batch" or "image".
        ignore_index: the label of pixels that count nowhere.

    Raises:
        ValueError: another scope; shapes do not fit each other, or a label is out of range.

    Source: Berman et al. 2018, Alg. 1 and the Lovász-softmax loss; classes present only, as in their code.
    """
    if scope not in ("batch", "image"):
        raise ValueError(f"scope is {scope!r}; allowed: 'batch', 'image'")
    check_logits(logits, target, num_classes=logits.shape[1], ignore_index=ignore_index)
    valid = valid_pixels(target, ignore_index)
    labels = safe_target(target, valid)[:, None]
    probs = wide(logits).softmax(dim=1)
    errors = probs.scatter(1, labels, 1 - probs.gather(1, labels))  # |t - p|
    with torch.no_grad():
        weights = torch.zeros_like(errors)
        images = range(len(target))
        units = [list(images)] if scope == "batch" else [[image] for image in images]
        present = [unit for unit in units if valid[unit].any()]
        for unit in present:
            weights[unit] = _weights(errors[unit], target[unit], valid[unit])
    return LossSum((weights * errors).sum(), torch.tensor(len(present), device=target.device))


def _weights(errors: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """(n, K, H, W) like `errors`: the gradient of one unit's loss by each error; 0 where a pixel is ignored.

    `target` and `valid` are (n, H, W). One class at a time: nothing but the result is larger than P.
    """
    weights = torch.zeros_like(errors)
    truth = target[valid]
    classes: list[int] = truth.bincount().nonzero().flatten().tolist()
    for k in classes:
        order = errors[:, k][valid].argsort(descending=True, stable=True)
        steps = _jaccard_steps((truth == k)[order], errors.dtype)
        weights[:, k].masked_scatter_(valid, torch.empty_like(steps).scatter_(0, order, steps))
    return weights / len(classes)


def _jaccard_steps(foreground: Tensor, dtype: torch.dtype) -> Tensor:
    """(P,) how much 1 - IoU of one class grows as each pixel, in this order, turns from right to wrong."""
    total = foreground.sum()
    hit, missed = foreground.cumsum(0), (~foreground).cumsum(0)  # int64: exact for any number of pixels
    jaccard = 1 - (total - hit).to(dtype) / (total + missed).to(dtype)
    return torch.cat([jaccard[:1], jaccard.diff()])


class Lovasz(nn.Module):
    """`lovasz` with its settings."""

    def __init__(self, *, scope: LovaszScope = "batch", ignore_index: int = 255) -> None:
        super().__init__()
        self.scope: LovaszScope = scope
        self.mean_over: Unit = "images" if scope == "image" else "own"
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, target: Tensor) -> LossSum:
        """See `lovasz`."""
        return lovasz(logits, target, scope=self.scope, ignore_index=self.ignore_index)
