"""Which pixels count, and whether labels and tensors fit each other: asked by every loss, answered here.

Letters: N images, K classes, C channels, H W label size, h w the size of a feature map.
"""

from __future__ import annotations

import torch
from torch import Tensor


def valid_pixels(target: Tensor, ignore_index: int) -> Tensor:
    """Boolean mask like `target`: True where the label is a class and not `ignore_index`."""
    return target != ignore_index


def safe_target(target: Tensor, valid: Tensor) -> Tensor:
    """`target` with class 0 where `valid` is False, so that it can be used as an index without branching."""
    return torch.where(valid, target, 0)


def wide(values: Tensor) -> Tensor:
    """`values` in float32, or in its own type if that is wider: losses are summed in nothing narrower."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def pixels_of_classes(target: Tensor, counted: Tensor, num_classes: int) -> Tensor:
    """(K,) int64: how many pixels each class has among those where `counted` is True. Both: (N, H, W)."""
    bins = torch.where(counted, target, num_classes).flatten()  # one bin more, for all the others
    return bins.bincount(minlength=num_classes + 1)[:num_classes]


def check_pixels(maps: Tensor, target: Tensor, *, num_classes: int, ignore_index: int) -> None:
    """Refuses labels that no loss could use.

    Args:
        maps: (N, C, h, w) logits or features; h and w may differ from the labels'.
        target: (N, H, W) int64, in [0, num_classes) or `ignore_index`.
        num_classes: K.
        ignore_index: the label of pixels that count nowhere.

    Raises:
        ValueError: a shape or type does not fit, or a label is out of range.
    """
    if maps.dim() != 4 or target.dim() != 3 or maps.shape[0] != target.shape[0]:
        raise ValueError(
            f"expected (N, C, h, w) maps and (N, H, W) labels, "
            f"got {tuple(maps.shape)} and {tuple(target.shape)}"
        )
    if not maps.is_floating_point():
        raise ValueError(f"maps must be floating point, got {maps.dtype}")
    check_labels(target, num_classes=num_classes, ignore_index=ignore_index)


def check_logits(logits: Tensor, target: Tensor, *, num_classes: int, ignore_index: int) -> None:
    """`check_pixels` for (N, K, H, W) logits, which are as large as the (N, H, W) labels.

    Without it a single pixel of one would be stretched over all pixels of the other.
    """
    if logits.shape[2:] != target.shape[1:]:
        raise ValueError(
            f"expected (N, K, H, W) logits and (N, H, W) labels, "
            f"got {tuple(logits.shape)} and {tuple(target.shape)}"
        )
    check_pixels(logits, target, num_classes=num_classes, ignore_index=ignore_index)


def check_per_class(name: str, values: Tensor, *, num_classes: int) -> None:
    """Refuses `values` that are not one for each class: broadcast, they would pass unseen.

    Raises:
        ValueError: with the name and the shapes.
    """
    if values.shape != (num_classes,):
        raise ValueError(f"{name} must be ({num_classes},), one for each class; got {tuple(values.shape)}")


def check_labels(target: Tensor, *, num_classes: int, ignore_index: int) -> None:
    """Refuses labels that are neither a class nor `ignore_index`. `target`: int64, any shape.

    On a GPU only the type is looked at: to read the extremes each step would wait for the device. Training
    loads no label that is out of range.

    Raises:
        ValueError: another type, or a label out of range; the message names the extremes.
    """
    if target.dtype != torch.int64:
        raise ValueError(f"labels must be int64, got {target.dtype}")
    if target.numel() == 0 or target.is_cuda:
        return
    low, high = torch.aminmax(safe_target(target, valid_pixels(target, ignore_index)))
    if low < 0 or high >= num_classes:
        raise ValueError(
            f"labels from {int(low)} to {int(high)}; "
            f"allowed: 0 to {num_classes - 1}, or {ignore_index} (ignored)"
        )
