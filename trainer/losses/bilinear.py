"""Where torch's bilinear resizing looks: for each pixel the cells it is made of, and their shares."""

from __future__ import annotations

import torch
from torch import Tensor


def source_cells(
    cells: int, pixels: int, *, align_corners: bool, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """For each of `pixels` along one axis: its near cell, the step (0 or 1) to the far one, and that's share.

    (pixels,) each: int64, int64, and `dtype`. The same arithmetic, in the same precision, as torch's own, or
    values next to a cell's border would fall otherwise.
    """
    place = torch.arange(pixels, device=device, dtype=dtype)
    if align_corners:
        source = place * ((cells - 1) / (pixels - 1) if pixels > 1 else 0.0)
    else:
        source = ((place + 0.5) * (cells / pixels) - 0.5).clamp(min=0)
    near = source.long().clamp(max=cells - 1)
    step = (near < cells - 1).long()
    return near, step, (source - near).clamp(0, 1)
