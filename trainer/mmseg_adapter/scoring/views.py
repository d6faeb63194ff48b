"""The sizes at which a mode sees a picture.

Pictures are (H, W, 3) uint8, blue first; sizes (height, width).

Source: mmseg 0.x, `MultiScaleFlipAug` and `Resize`; mmseg 1.x, `TestTimeAug`; mmcv's `Resize`.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.mmseg_adapter.transforms import planes_of, scaled_size, scaling_interpolation
from trainer.mmseg_adapter.way import TestWay
from trainer.spec.augmentation import NATIVE, fitted
from trainer.spec.evaluation import Mode

Picture = NDArray[np.uint8]
ViewKey = tuple[str, float]  # what the scale multiplies, and the scale


def views_of(picture: Picture, modes: Iterable[Mode], way: TestWay) -> dict[ViewKey, Tensor]:
    """(3, y, x) uint8 at each scale of each base that the modes have; mirrored ones are not made."""
    keys = dict.fromkeys((mode.base, scale) for mode in modes for scale in mode.scales)
    return {key: torch.from_numpy(planes_of(view_at(picture, key[1], key[0], way))) for key in keys}


def view_at(picture: Picture, ratio: float, base: str, way: TestWay) -> Picture:
    """The picture at one scale: the pixels that mmseg's pipelines give.

    Where the view would be smaller than `way.smallest` it is as large, as by `min_size` of 0.x's `Resize`.
    """
    height, width = picture.shape[:2]
    interpolation = cv2.INTER_LINEAR
    if base == NATIVE:
        size = fitted((height, width), (int(width * ratio + 0.5), int(height * ratio + 0.5)))
    elif way.test_size == NATIVE:
        factor = way.scale * ratio
        size = scaled_size((height, width), factor)
        interpolation = scaling_interpolation(factor)
    else:
        long, short = way.test_size
        size = fitted((height, width), (int(long * ratio), int(short * ratio)))
    if min(size) < way.smallest:
        factor = way.smallest / min(height, width)
        size = int(height * factor + 0.5), int(width * factor + 0.5)
        interpolation = cv2.INTER_LINEAR
    view: Picture = cv2.resize(picture, size[::-1], interpolation=interpolation)
    return view
