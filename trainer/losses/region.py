"""Region features: the mean of a feature map over all pixels of one class in one image.

Letters: N images, K classes, D channels of the features before the classifier, H W label size, h w feature
size, R regions present, S the most regions that one image has.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainer.losses.bilinear import source_cells
from trainer.losses.pixels import check_pixels, valid_pixels, wide

Scope = Literal["image", "batch"]


class RegionFeatures(NamedTuple):
    """One row per region, ordered by image, then class; by class alone when scope is "batch"."""

    features: Tensor  # (R, D) float32, or wider if the input was
    class_ids: Tensor  # (R,) int64
    image_ids: Tensor  # (R,) int64; the first image it occurs in when scope is "batch"
    pixel_counts: Tensor  # (R,) int64, valid pixels, >= 1


class Regions(NamedTuple):
    """Where the regions of a batch lie. A region's slot is its place among its image's regions."""

    class_ids: Tensor  # (R,) int64
    image_ids: Tensor  # (R,) int64
    pixel_counts: Tensor  # (R,) int64, >= 1
    slots: Tensor  # (R,) int64 in [0, S)
    slot_map: Tensor  # (N, H*W) int64: each pixel's slot, S where the pixel is ignored
    num_slots: int  # S


def region_mean_features(
    features: Tensor,
    target: Tensor,
    *,
    num_classes: int,
    ignore_index: int = 255,
    scope: Scope = "image",
    align_corners: bool = False,
) -> RegionFeatures:
    """Mean feature of every region, as if `features` had been upsampled to `target`.

    Bilinear upsampling U is linear, so mean(U f over mask) = <U^T mask, f> / |mask|. The weights U^T mask
    come from labels alone: no gradient runs through them, and N D H W is never built.

    Args:
        features: (N, D, h, w), any float type; summed in float32 or wider, under autocast too.
        target: (N, H, W) int64, in [0, num_classes) or `ignore_index`.
        num_classes: K.
        ignore_index: the label of pixels that belong to no region.
        scope: what one region is: a class in one image (the paper), or in the whole batch.
        align_corners: as in `torch.nn.functional.interpolate`.

    Returns:
        One row per region with a valid pixel; R may be 0, with a graph all the same.

    Raises:
        ValueError: another scope; shapes do not fit each other, or a label is out of range (`check_pixels`).

    Source: arXiv 2204.01969, Sec. 3.2, the set R of Eq. (8).
    """
    if scope not in ("image", "batch"):
        raise ValueError(f"scope is {scope!r}; allowed: 'image', 'batch'")
    check_pixels(features, target, num_classes=num_classes, ignore_index=ignore_index)
    regions = find_regions(target, num_classes=num_classes, ignore_index=ignore_index)
    values = wide(features)
    size = (features.shape[2], features.shape[3])
    weights = adjoint_weights(target, regions, size, align_corners=align_corners, dtype=values.dtype)
    with torch.autocast(features.device.type, enabled=False):
        sums: Tensor = _WeightedSums.apply(values, weights)  # type: ignore[no-untyped-call]
    rows = sums[regions.image_ids, regions.slots]  # (R, D)
    class_ids, image_ids, pixel_counts = regions[:3]
    if scope == "batch":
        rows, class_ids, image_ids, pixel_counts = _merge_by_class(rows, regions)
    return RegionFeatures(rows / pixel_counts[:, None], class_ids, image_ids, pixel_counts)


def find_regions(target: Tensor, *, num_classes: int, ignore_index: int) -> Regions:
    """The regions of (N, H, W) int64 labels, ordered by image, then class. Labels are taken to be checked."""
    images, flat = target.shape[0], target.flatten(1)
    valid = valid_pixels(flat, ignore_index)
    bins = num_classes + 1  # the last for ignored pixels
    labels = torch.where(valid, flat, num_classes)
    first_bin = torch.arange(images, device=target.device)[:, None] * bins
    counts = torch.bincount((labels + first_bin).flatten(), minlength=images * bins).view(images, bins)
    counts = counts[:, :num_classes]
    present = counts > 0
    image_ids, class_ids = present.nonzero(as_tuple=True)
    num_slots = int(present.sum(dim=1).max()) if images else 0
    table = target.new_full((images, bins), num_slots)
    slots = (present.cumsum(dim=1) - 1)[image_ids, class_ids]
    table[image_ids, class_ids] = slots
    pixel_counts = counts[image_ids, class_ids]
    return Regions(class_ids, image_ids, pixel_counts, slots, table.gather(1, labels), num_slots)


@torch.no_grad()
def adjoint_weights(
    target: Tensor,
    regions: Regions,
    size: tuple[int, int],
    *,
    align_corners: bool,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """(N, S, h*w): U^T mask of every region, U the bilinear upsampling from `size` = (h, w) to labels.

    Row [image, slot] sums to the region's pixel count. Each label pixel adds its four bilinear weights to the
    four feature cells it is made of; rows of slots that an image does not use are zero.
    """
    (images, height, width), (h, w) = target.shape, size
    cells, num_slots = h * w, regions.num_slots
    source = partial(source_cells, align_corners=align_corners, dtype=dtype, device=target.device)
    y0, y_step, y_far = source(h, height)
    x0, x_step, x_far = source(w, width)
    row_step, column_step = (y_step * w)[:, None], x_step
    cell = (regions.slot_map * cells).view(images, height, width).add_((y0 * w)[:, None] + x0)
    sums = torch.zeros(images, (num_slots + 1) * cells, dtype=dtype, device=target.device)

    def scatter(rows: Tensor, columns: Tensor) -> None:
        shares = torch.outer(rows, columns).view(1, -1).expand(images, -1)
        sums.scatter_add_(1, cell.flatten(1), shares)

    scatter(1 - y_far, 1 - x_far)
    cell.add_(column_step)
    scatter(1 - y_far, x_far)
    cell.add_(row_step)
    scatter(y_far, x_far)
    cell.sub_(column_step)
    scatter(y_far, 1 - x_far)
    return sums[:, : num_slots * cells].view(images, num_slots, cells)


class _WeightedSums(torch.autograd.Function):
    """(N, S, D) sums over cells of weights (N, S, h*w) times features (N, D, h, w).

    By hand because the gradient is wanted in the features' own layout, and the weights want none.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(weights)
        ctx.size = features.shape
        return torch.bmm(weights, features.flatten(2).transpose(1, 2))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_sums: Tensor) -> tuple[Tensor, None]:
        (weights,) = ctx.saved_tensors
        with torch.autocast(weights.device.type, enabled=False):
            return torch.bmm(grad_sums.transpose(1, 2), weights).view(ctx.size), None


def _merge_by_class(sums: Tensor, regions: Regions) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sums, class ids, first image ids and pixel counts of regions that span the whole batch, by class."""
    class_ids, row = torch.unique(regions.class_ids, return_inverse=True)
    merged = sums.new_zeros(len(class_ids), sums.shape[1]).index_add(0, row, sums)
    counts = torch.zeros_like(class_ids).index_add(0, row, regions.pixel_counts)
    first = torch.zeros_like(class_ids).scatter_reduce(
        0, row, regions.image_ids, reduce="amin", include_self=False
    )
    return merged, class_ids, first, counts
