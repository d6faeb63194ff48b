"""From a picture to its labels as one module: all that stands between a file of pixels and class ids.

Letters: K classes, H W picture size, h w window size, R rows and C columns of windows.
"""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch
from mmseg.models.utils import Upsample, resize
from torch import Tensor, nn

from trainer.mmseg_adapter.mmengine_compat import pixel_rule
from trainer.mmseg_adapter.torch_compat import require
from trainer.spec.evaluation import Slide


class LabelProgram(nn.Module):
    """(1, 3, H, W) uint8 pictures, red first, to (1, H, W) int64 labels.

    Normalisation, order of channels, windows, the resizing of the head's logits and the argmax are inside.
    The model's arithmetic is mmseg's own; the windows' logits are added in the order of `slide_inference`,
    but computed as one batch, so that a graph holds the model once, whatever the number of windows.

    Args:
        model: an mmseg segmentor; a copy is kept, on the CPU and in eval mode.
        inference: "whole", or the windows.
    """

    def __init__(self, model: nn.Module, inference: str | Slide) -> None:
        super().__init__()
        self._model: Any = _with_whole_factors(copy.deepcopy(model).cpu().eval())
        self._slide = inference if isinstance(inference, Slide) else None
        pixels: Any = self._model.data_preprocessor
        self._red_first, normalised = pixel_rule(pixels)
        self._mean: Tensor
        self._std: Tensor
        self.register_buffer("_mean", pixels.mean.clone() if normalised else torch.zeros(3, 1, 1))
        self.register_buffer("_std", pixels.std.clone() if normalised else torch.ones(3, 1, 1))

    def forward(self, picture: Tensor) -> Tensor:
        ordered = picture if self._red_first else picture.flip(1)
        pixels = (ordered.float() - self._mean) / self._std
        logits = self._logits(pixels) if self._slide is None else self._windows(pixels, self._slide)
        return logits.argmax(dim=1)

    def _logits(self, pixels: Tensor) -> Tensor:
        """(N, K, H, W) of (N, 3, H, W), whole."""
        size = pixels.shape[2:]
        meta = {"img_shape": size, "ori_shape": size, "pad_shape": size}
        logits: Tensor = self._model.encode_decode(pixels, [meta])
        return logits

    def _windows(self, pixels: Tensor, slide: Slide) -> Tensor:
        """(1, K, H, W): the mean of the windows' logits at each pixel."""
        height, width = pixels.shape[2:]
        (h, w), (down, right) = slide.window, slide.stride
        require(height >= h)
        require(width >= w)
        rows = (height - h + down - 1) // down + 1
        columns = (width - w + right - 1) // right + 1
        number = torch.arange(rows * columns)  # one flat dimension: one row of windows is no special case
        row = torch.div(number, torch.full((1,), columns), rounding_mode="floor")
        column = number - row * columns
        top = torch.clamp(row * down, max=height - h)[:, None, None] + torch.arange(h)[:, None]
        left = torch.clamp(column * right, max=width - w)[:, None, None] + torch.arange(w)
        cells = (top * width + left).flatten(1)  # (R C, h w)
        windows = pixels.flatten(2)[0][:, cells].transpose(0, 1).reshape(-1, 3, h, w)
        logits = self._logits(windows)
        flat, classes = cells.flatten(), logits.shape[1]
        values = logits.transpose(0, 1).reshape(classes, -1)
        total = torch.zeros(classes, height * width).index_add(1, flat, values)
        times = torch.zeros(height * width).index_add(0, flat, torch.ones(flat.shape[0]))
        return (total / times).reshape(1, classes, height, width)


def _with_whole_factors(model: nn.Module) -> nn.Module:
    """The model with upsampling by whole factors in integers: mmseg goes by floats, which fixes sizes."""
    for module in model.modules():
        if isinstance(module, Upsample) and not module.size and float(module.scale_factor).is_integer():
            module.forward = partial(_upsampled, module, int(module.scale_factor))
    return model


def _upsampled(module: Any, factor: int, maps: Tensor) -> Tensor:
    size = [side * factor for side in maps.shape[-2:]]
    resized: Tensor = resize(maps, size, None, module.mode, module.align_corners)
    return resized
