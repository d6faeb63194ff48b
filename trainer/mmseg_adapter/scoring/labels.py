"""The labels of a picture from a head's small logits, without the picture-sized logits in between.

Letters: N images, K classes, H W label size, h w the logits' size, M pixels that must be interpolated.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from trainer.losses.bilinear import source_cells
from trainer.losses.pixels import wide

_CPU_CHUNK = 1 << 20  # logits interpolated at once: they stay in a processor's cache
_GPU_CHUNK = 1 << 24  # there the number of launches counts


@torch.no_grad()
def labels_of(logits: Tensor, size: tuple[int, int], *, align_corners: bool) -> Tensor:
    """(N, H, W) int64: the argmax over K of (N, K, h, w) logits resized bilinearly to `size` = (H, W).

    A bilinear value is a mean of its four cells' values with weights >= 0. Where one class leads in all four,
    it leads between them, and nothing is interpolated; the other pixels are, a bounded number at a time. So
    memory is that of the logits once more and of the labels, whatever the logits are.

    Equal to `interpolate(…, mode="bilinear").argmax(1)` but for ties within rounding. The narrow float types
    are interpolated in float32 and not rounded again. NaN leads, as in torch: a pixel that has one among its
    four cells gets the first class that is NaN there.

    Args:
        logits: (N, K, h, w), any float type, K >= 1.
        size: (H, W), larger, smaller or the same.
        align_corners: as in `torch.nn.functional.interpolate`.
    """
    (images, classes, h, w), (height, width) = logits.shape, size
    table = wide(logits).permute(0, 2, 3, 1).contiguous().view(-1, classes)  # a row for each cell
    leaders = table.argmax(dim=1).view(images, h, w)
    source = partial(source_cells, align_corners=align_corners, dtype=table.dtype, device=table.device)
    y, y_step, y_far = source(h, height)
    x, x_step, x_far = source(w, width)
    labels = leaders[:, y[:, None], x]
    between = _disagree(leaders)[:, y[:, None], x].flatten().nonzero().squeeze(1)  # (M,)
    flat = labels.view(-1)
    chunk = max(1, (_CPU_CHUNK if logits.device.type == "cpu" else _GPU_CHUNK) // classes)
    for start in range(0, len(between), chunk):
        pixels = between[start : start + chunk]
        row, column = pixels // width, pixels % width
        image, row = row // height, row % height
        near = (image * h + y[row]) * w + x[column]
        right, down = x_step[column], y_step[row] * w
        x_share, y_share = x_far[column], y_far[row]
        cells = torch.stack([near, near + right, near + down, near + down + right], dim=1)
        shares = torch.stack([(1 - y_share) * (1 - x_share), (1 - y_share) * x_share,
                              y_share * (1 - x_share), y_share * x_share], dim=1)  # fmt: skip
        values = functional.embedding_bag(cells, table, mode="sum", per_sample_weights=shares)
        flat[pixels] = values.argmax(dim=1)
    return labels


def labels_at(logits: Tensor, view: tuple[int, int], size: tuple[int, int], *, align_corners: bool) -> Tensor:
    """(N, H, W) int64 of logits that mmseg resizes twice: to the view's size, then to `size` = (H, W).

    Where these are the same the second changes nothing and the first need not be built; else only the
    second is spared.
    """
    if view != size:
        logits = functional.interpolate(logits, view, mode="bilinear", align_corners=align_corners)
    return labels_of(logits, size, align_corners=align_corners)


def _disagree(leaders: Tensor) -> Tensor:
    """(N, h, w) bool: whether a cell, the next in its row and the two below have more than one leader."""
    wider = torch.cat([leaders, leaders[:, :, -1:]], dim=2)
    larger = torch.cat([wider, wider[:, -1:]], dim=1)
    here = larger[:, :-1, :-1]
    return (here != larger[:, :-1, 1:]) | (here != larger[:, 1:, :-1]) | (here != larger[:, 1:, 1:])
