"""A view of a picture as patches: small logits, and where each pixel of the picture takes them from.

mmseg resizes a head's logits to the view's size, averages those of overlapping windows, turns a mirrored view
back, and resizes once more, to the picture. All of it is linear, and along height and width apart; so it is
one matrix for rows and one for columns, with weights >= 0 of which few in a row are above 0.

Letters: K classes, H W the picture's size, h w the logits' size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.losses.bilinear import source_cells
from trainer.losses.pixels import wide

Span = tuple[int, int]  # from, to


@dataclass(frozen=True)
class Patch:
    """Logits of a whole view or of one window, and their weights in the picture's logits.

    Attributes:
        table: (h, K, w) logits, float32 or wider, on any device.
        rows: (H, h) of the table's type, on the CPU: what a row of pixels takes of each row of cells.
        columns: (W, w) likewise.
    """

    table: Tensor
    rows: Tensor
    columns: Tensor


View = Sequence[Patch]  # the view's logits are the sum over its patches of rows @ table @ columns.T


def table_of(logits: Tensor) -> Tensor:
    """(h, K, w) float32 or wider of a head's (1, K, h, w) logits."""
    return wide(logits[0]).permute(1, 0, 2).contiguous()


def spans(length: int, window: int, stride: int) -> list[Span]:
    """Where the windows lie along a side of `length`; the last is moved back to end with it.

    Source: mmseg's `EncoderDecoder.slide_inference`. A side shorter than the window is one span.
    """
    number = max(length - window + stride - 1, 0) // stride + 1
    ends = [min(k * stride + window, length) for k in range(number)]
    return [(max(end - window, 0), end) for end in ends]


def axis_weights(
    pixels: int,
    length: int,
    parts: Sequence[tuple[Span, int]],
    *,
    align_corners: bool,
    mirrored: bool = False,
) -> list[Tensor]:
    """(pixels, cells) float64 for each part: what a pixel of the picture takes of each of its cells.

    Along one axis, out of the right: a part's cells are resized to its span of the view; where spans overlap
    their mean is taken; a mirrored view is turned back; the view is resized to the picture.

    Args:
        pixels: the picture's side.
        length: the view's.
        parts: span and number of cells of each; together they cover the view.
    """
    times = torch.zeros(length, dtype=torch.float64)
    for (start, end), _ in parts:
        times[start:end] += 1
    near, far, share = _source(length, pixels, align_corners)
    weights = []
    for (start, end), cells in parts:
        to_view = torch.zeros(length, cells, dtype=torch.float64)
        to_view[start:end] = _resizing(cells, end - start, align_corners) / times[start:end, None]
        if mirrored:
            to_view = to_view.flip(0)
        weights.append(to_view[near] * (1 - share) + to_view[far] * share)
    return weights


def _resizing(cells: int, pixels: int, align_corners: bool) -> Tensor:
    """(pixels, cells) float64: torch's bilinear resizing along one axis."""
    near, far, share = _source(cells, pixels, align_corners)
    weights = torch.zeros(pixels, cells, dtype=torch.float64)
    weights.scatter_add_(1, near[:, None], 1 - share)
    return weights.scatter_add_(1, far[:, None], share)


def _source(cells: int, pixels: int, align_corners: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Each pixel's two cells, (pixels,) int64, and the second's share, (pixels, 1) float64, as torch's."""
    near, step, share = source_cells(
        cells, pixels, align_corners=align_corners, dtype=torch.float32, device=torch.device("cpu")
    )
    return near, near + step, share[:, None].double()
