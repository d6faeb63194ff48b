"""mmsegmentation's jitter of brightness, contrast, saturation and hue, by tables of 256 values."""

from __future__ import annotations

import cv2
import numpy as np
from mmseg.datasets.transforms import PhotoMetricDistortion
from mmseg.registry import TRANSFORMS
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

_VALUES = np.arange(256, dtype=np.uint8)
_HUE, _SATURATION = 0, 1  # channels
_HUES = 180  # OpenCV's: two degrees each, to fit into a byte


@TRANSFORMS.register_module()
class FastPhotoMetricDistortion(PhotoMetricDistortion):  # type: ignore[misc]
    """Equals mmseg's PhotoMetricDistortion, whose arguments, order and draws it has.

    What mmseg does to a channel is a function of one byte. So it is done to the 256 bytes that there are, by
    mmseg's arithmetic, and looked up for every pixel.
    """

    def convert(self, img: Bytes, alpha: float = 1, beta: float = 0) -> Bytes:
        """`img` times `alpha` plus `beta`, cut to 0 … 255 and rounded down; a new array."""
        return _looked_up(img, super().convert(_VALUES, alpha, beta))

    def saturation(self, img: Bytes) -> Bytes:
        """`img` with its saturation times a factor that is drawn, or as it is."""
        if not np.random.randint(2):
            return img
        hsv = cv2.cvtColor(img, cv2.COLOR_BGR2HSV)
        factor = np.random.uniform(self.saturation_lower, self.saturation_upper)
        return _with_channel(hsv, _SATURATION, super().convert(_VALUES, factor))

    def hue(self, img: Bytes) -> Bytes:
        """`img` with its hue turned by an angle that is drawn, or as it is."""
        if not np.random.randint(2):
            return img
        hsv = cv2.cvtColor(img, cv2.COLOR_BGR2HSV)
        angle = np.random.randint(-self.hue_delta, self.hue_delta)
        turned = ((_VALUES.astype(np.int64) + angle) % _HUES).astype(np.uint8)
        return _with_channel(hsv, _HUE, turned)


def _looked_up(img: Bytes, table: Bytes) -> Bytes:
    """`table[img]`, which numpy takes several times as long for."""
    values: Bytes = cv2.LUT(img, table)
    return values


def _with_channel(hsv: Bytes, channel: int, table: Bytes) -> Bytes:
    """The picture, blue first, after one channel of `hsv` has been looked up; `hsv` is changed."""
    cv2.insertChannel(_looked_up(cv2.extractChannel(hsv, channel), table), hsv, channel)
    picture: Bytes = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    return picture
