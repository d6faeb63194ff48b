"""Tables of positions trained at one size, for a model of another: as mmsegmentation's backbones do.

Letters: A heads, C channels, h w cells of a window or of a picture's grid, T tokens that have no place in it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline
from torch import Tensor, nn
from torch.nn.functional import interpolate

_TABLE = "relative_position_bias_table"
_GRID = "pos_embed"
_RATIOS = (1.01, 1.5)  # between which the ratio of the geometric sequence is looked for
_TOLERANCE = 1e-6


def fitted(name: str, tensor: Tensor, wanted: Tensor, backbone: nn.Module) -> Tensor | None:
    """`tensor` at the shape of `wanted`, the backbone's own; None if it is no table of positions."""
    owner = backbone.get_submodule(name.rpartition(".")[0])
    if name.endswith(_TABLE) and tensor.dim() == wanted.dim() == 2 and tensor.shape[1] == wanted.shape[1]:
        return _fitted_table(tensor, len(wanted), owner)
    if name.endswith(_GRID) and tensor.dim() == wanted.dim() == 3 and tensor.shape[2] == wanted.shape[2]:
        return _fitted_grid(tensor, wanted.shape[1], owner)
    return None


def _fitted_table(table: Tensor, length: int, attention: Any) -> Tensor | None:
    """(L, A) → (length, A) for the attention's window."""
    window = getattr(attention, "window_size", None)
    if window is None:
        return None
    height, width = (2 * side - 1 for side in window)
    tokens = length - height * width
    side = math.isqrt(max(0, len(table) - tokens))
    if tokens < 0 or side * side + tokens != len(table):
        return None
    if tokens:
        return geometric_table(table, (side, side), (height, width))
    return bicubic(table, (side, side), (height, width))


def _fitted_grid(grid: Tensor, length: int, backbone: Any) -> Tensor | None:
    """(1, T + h w, C) → (1, length, C) for the backbone's picture size."""
    cells = getattr(backbone, "patch_shape", None)
    if cells is None and hasattr(backbone, "img_size") and hasattr(backbone, "patch_size"):
        cells = tuple(side // backbone.patch_size for side in backbone.img_size)
    if cells is None:
        return None
    tokens = length - cells[0] * cells[1]
    side = math.isqrt(max(0, grid.shape[1] - tokens))
    if tokens < 0 or side * side + tokens != grid.shape[1]:
        return None
    mode = getattr(backbone, "interpolate_mode", "bicubic")
    placed = bicubic(grid[0, tokens:], (side, side), cells, mode=mode)
    return torch.cat((grid[:, :tokens], placed[None]), dim=1)


def bicubic(table: Tensor, old: tuple[int, int], new: tuple[int, int], *, mode: str = "bicubic") -> Tensor:
    """(h w, C) of `old` = (h, w) → (h' w', C) of `new`, computed in float32.

    Source: mmseg's SwinTransformer.init_weights and VisionTransformer.resize_pos_embed.
    """
    picture = table.float().T.reshape(1, -1, *old)
    corners = None if mode in ("nearest", "area") else False
    return interpolate(picture, size=new, mode=mode, align_corners=corners)[0].flatten(1).T.to(table.dtype)


def geometric_table(table: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """(h w + T, A) of distances `old` = (h, w), both odd → (h' w' + T, A) of `new`; the T tokens stay.

    The old distances are laid out as a geometric sequence that ends where the new ones do, so that near ones
    keep their places, and cubic splines through them are read at the new ones. mmseg takes scipy's interp2d
    for that, which scipy no longer has, and windows that are square.
    Source: mmseg's BEiT.resize_rel_pos_embed, after microsoft/unilm, beit/semantic_segmentation.
    """
    if old == new:
        return table
    placed, tokens = table[: old[0] * old[1]], table[old[0] * old[1] :]
    values = placed.double().numpy().reshape(*old, -1)
    rows, columns = (_readings(*sides) for sides in zip(old, new, strict=True))
    read = np.einsum("ph,hwa,qw->pqa", rows, values, columns)
    return torch.cat((torch.from_numpy(read).flatten(0, 1).to(table.dtype), tokens))


def _readings(old: int, new: int) -> NDArray[np.float64]:
    """(new, old): what each old value adds to the spline's value at each new distance, along one axis."""
    if old == new:
        return np.eye(old)
    places = _geometric_places(old // 2, new // 2)
    wanted = np.arange(-(new // 2), new // 2 + 1).clip(places[0], places[-1])
    spline = make_interp_spline(places, np.eye(old), k=min(3, old - 1))
    read: NDArray[np.float64] = spline(wanted)
    return read


def _geometric_places(steps: int, furthest: int) -> NDArray[np.float64]:
    """(2 steps + 1,): 0 and, to both sides, the sums 1, 1 + q, 1 + q + q² …, the last of them `furthest`."""
    low, high = _RATIOS
    while high - low > _TOLERANCE:
        ratio = (low + high) / 2
        if (1 - ratio**steps) / (1 - ratio) > furthest:
            high = ratio
        else:
            low = ratio
    sums = np.cumsum(ratio ** np.arange(steps, dtype=np.float64))
    return np.concatenate((-sums[::-1], [0.0], sums))
