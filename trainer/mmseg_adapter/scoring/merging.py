"""The labels of a picture from several views of it: the class whose probability is the highest on average.

Letters: K classes, H W the picture's size, h w a patch's size; a tile is T × S pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import torch
from torch import Tensor

from trainer.mmseg_adapter.scoring.patches import Patch, View

_CPU_VALUES = 1 << 17  # of a tile, for all classes: they stay in a processor's cache
_GPU_VALUES = 1 << 24  # there the number of launches counts
_SIDES = {"cpu": (8, 64), "cuda": (16, 256)}  # of a tile, at least and at most
_ODD = (math.inf, -math.inf, math.nan)


class _Weights(NamedTuple):
    """What the pixels of a tile take along one axis: of these cells, so much."""

    first: int
    end: int
    matrix: Tensor  # (pixels, end - first)


class _Laid(NamedTuple):
    """A patch with its weights cut for each row and each column of tiles; None: it has no part in them."""

    table: Tensor  # (h, K, w)
    rows: list[_Weights | None]
    columns: list[_Weights | None]
    finite: bool


@torch.no_grad()
def labels_of_views(
    views: Sequence[View], size: tuple[int, int], *, device: torch.device | None = None
) -> Tensor:
    """(H, W) int64: the argmax over K of the views' mean softmax at the picture's pixels.

    Of one view it is the argmax of the logits. Tile by tile, and a tile in which one class leads in all cells
    of all views is that class without more ado: weights are >= 0, and softmax keeps the order of a pixel's
    classes. So memory, beyond the patches, is that of the labels and of four tiles for all classes, whatever
    the picture and the number of views: 2 MiB for each thread on a CPU, 256 MiB on a GPU (up to 2000 and
    65,000 classes: a tile has a least size).

    Equal to mmseg's `SegTTAModel.merge_preds` but for ties within rounding, also with NaN: a pixel that takes
    above 0 of a cell with NaN, in any view and class, gets class 0 (softmax makes all classes NaN there; of
    one view, the first class that is NaN). So it does where +inf leads.

    Args:
        views: at least one, each of at least one patch; all of K classes and of one float type.
        size: (H, W).
        device: where labels are computed; left out: where the first patch is. Patches may lie elsewhere.

    Source: mmseg 1.x, `models/segmentors/seg_tta.py`; 0.x, `EncoderDecoder.aug_test`.
    """
    first = views[0][0].table
    device = device or first.device
    side = _side(first.shape[1], device)
    laid = [[_lay(patch, side, device) for patch in view] for view in views]
    labels = torch.empty(size, dtype=torch.int64, device=device)
    leaders = _sole_leaders(laid)

    @torch.no_grad()  # each thread has a mode of its own
    def label_row(row: int) -> None:
        with torch.autocast(device.type, enabled=False):  # it would make half-precision products
            for column, leader in enumerate(leaders[row]):
                top, left = row * side, column * side
                tile = labels[top : top + side, left : left + side]
                tile[:] = _labels(laid, row, column) if leader is None else leader

    _side_by_side(label_row, len(leaders), torch.get_num_threads() if device.type == "cpu" else 1)
    return labels


def _side_by_side(work: Callable[[int], None], number: int, threads: int) -> None:
    """Does `work` of 0 to `number` - 1 in so many threads, each operator in one.

    The operators on a tile are small: threads that share each of them wait for each other most of the time
    where they do not have their processors alone.
    """
    if threads == 1:
        for k in range(number):
            work(k)
        return
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            list(pool.map(work, range(number)))
    finally:
        torch.set_num_threads(threads)  # a thread's own number is also that of threads to come


def _side(classes: int, device: torch.device) -> int:
    """Of a tile, in pixels."""
    values = _CPU_VALUES if device.type == "cpu" else _GPU_VALUES
    least, most = _SIDES.get(device.type, _SIDES["cuda"])
    return min(max(math.isqrt(values // classes), least), most)


def _lay(patch: Patch, side: int, device: torch.device) -> _Laid:
    rows, columns = (
        _cut(weights, side, patch.table.dtype, device) for weights in (patch.rows, patch.columns)
    )
    return _Laid(patch.table, rows, columns, bool(patch.table.sum().isfinite()))


def _cut(weights: Tensor, side: int, dtype: torch.dtype, device: torch.device) -> list[_Weights | None]:
    """`weights` (pixels, cells) by tiles of `side` pixels."""
    cut: list[_Weights | None] = []
    for part in torch.split(weights, side):
        touched = part.any(dim=0).nonzero()
        if not len(touched):
            cut.append(None)
            continue
        first, end = int(touched[0]), int(touched[-1]) + 1
        cut.append(_Weights(first, end, part[:, first:end].to(device, dtype)))
    return cut


def _sole_leaders(views: Sequence[Sequence[_Laid]]) -> list[list[int | None]]:
    """By row and column of tiles: the class that leads in every cell that the tile takes, if one does."""
    patches = [patch for view in views for patch in view]
    if not all(patch.finite for patch in patches):  # what leads is no longer what is chosen
        return [[None] * len(patches[0].columns) for _ in patches[0].rows]
    lows, highs = zip(*(_range_of_leaders(patch) for patch in patches), strict=True)
    low, high = torch.stack(lows).amin(0), torch.stack(highs).amax(0)
    return [
        [least if least == most else None for least, most in zip(*pair, strict=True)]
        for pair in zip(low.tolist(), high.tolist(), strict=True)
    ]


def _range_of_leaders(patch: _Laid) -> tuple[Tensor, Tensor]:
    """(tile rows, tile columns) int64 each, on the CPU: the lowest and the highest leading class."""
    leaders = patch.table.max(dim=1).indices.cpu()  # (h, w); argmax takes twice as long
    classes = patch.table.shape[1]
    lows = _over_tiles(
        _over_tiles(leaders, patch.rows, 0, torch.amin, classes), patch.columns, 1, torch.amin, classes
    )
    highs = _over_tiles(_over_tiles(leaders, patch.rows, 0, torch.amax, -1), patch.columns, 1, torch.amax, -1)
    return lows, highs


def _over_tiles(
    values: Tensor,
    cut: Sequence[_Weights | None],
    dim: int,
    reduce: Callable[[Tensor, int], Tensor],
    nothing: int,
) -> Tensor:
    """`values` with the cells along `dim` reduced to one value for each tile; `nothing` for no cells."""
    none = torch.full_like(values.select(dim, 0), nothing)
    parts = [
        none if one is None else reduce(values.narrow(dim, one.first, one.end - one.first), dim)
        for one in cut
    ]
    return torch.stack(parts, dim)


def _labels(views: Sequence[Sequence[_Laid]], row: int, column: int) -> Tensor:
    """(T, S) int64 of one tile."""
    if len(views) == 1:
        return _logits(views[0], row, column).max(dim=1).indices
    total = _logits(views[0], row, column).softmax(dim=1)
    for view in views[1:]:
        total += _logits(view, row, column).softmax(dim=1)
    return total.max(dim=1).indices


def _logits(view: Sequence[_Laid], row: int, column: int) -> Tensor:
    """(T, K, S): a view's logits at the pixels of a tile."""
    parts = (
        _of_patch(patch, rows, columns)
        for patch in view
        if (rows := patch.rows[row]) is not None and (columns := patch.columns[column]) is not None
    )
    total = next(parts)
    for part in parts:
        total += part
    return total


def _of_patch(patch: _Laid, rows: _Weights, columns: _Weights) -> Tensor:
    """(T, K, S): the patch's part in the logits of a tile. What is not finite stays where it has a weight."""
    cells = patch.table[rows.first : rows.end, :, columns.first : columns.end].to(rows.matrix.device)
    if patch.finite:
        return _resized(cells, rows.matrix, columns.matrix)
    total = _resized(cells.nan_to_num(0.0, 0.0, 0.0), rows.matrix, columns.matrix)
    for odd in _ODD:  # 0 × inf would be NaN in the whole tile
        there = (cells.isnan() if math.isnan(odd) else cells == odd).to(cells)
        total[_resized(there, rows.matrix, columns.matrix) > 0] += odd
    return total


def _resized(cells: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """(T, K, S) of (y, K, x) cells: rows @ cells @ columns.T for each class, as two products."""
    across = cells.flatten(0, 1) @ columns.T  # (y × K, S)
    return (rows @ across.view(len(cells), -1)).view(len(rows), -1, len(columns))
