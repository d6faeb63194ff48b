"""Training samples step by step: labels mapped and checked, size, place and side drawn, packed.

What stands for a transform of mmsegmentation makes the same calls of numpy.random and gives the same values,
bit for bit, only sooner (`benchmarks/loader.py` says by how much). Pictures are (H, W, 3) uint8, blue first;
masks (H, W) uint8. A crop is a view: OpenCV reads it as it is, and the next step that computes copies it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.datasets.transforms import PackSegInputs
from mmseg.registry import TRANSFORMS
from numpy.typing import NDArray

from trainer.base.errors import DataError
from trainer.data.tally import NUM_IDS
from trainer.spec.data.datasets import IGNORE_INDEX
from trainer.spec.data.label_map import LabelMap, as_stored, ids_in_words

Results = dict[str, Any]
Mask = NDArray[np.uint8]
Box = tuple[slice, slice]  # rows, columns

_SUSPECT = 254  # what an id is mapped to that no mask may hold; also a class, where there are 255
_CROP_TRIES = 10
_SAMPLED = 16  # one pixel of so many each way is looked at first


@TRANSFORMS.register_module()
class MapLabels(BaseTransform):  # type: ignore[misc]
    """Makes classes and void of the ids in a loaded mask, and refuses a mask that holds any other id.

    With `zero_is_void` of `label_map.py` it equals the `reduce_zero_label` of mmseg's LoadAnnotations.

    Args:
        num_classes: K; a mapped mask holds 0 to K - 1 and void.
        label_map: pairs (id as stored, class or void); None: ids are classes or void as they are stored.

    Raises:
        DataError: the mask holds ids that it may not; the message names the file and the ids.
    """

    def __init__(self, num_classes: int, label_map: LabelMap | None = None) -> None:
        given = as_stored(num_classes) if label_map is None else label_map
        self._ids = tuple((k, to) for k, to in given if to < num_classes or to == IGNORE_INDEX)
        self._class_of = np.full(NUM_IDS, _SUSPECT, np.uint8)
        for stored, wanted in self._ids:
            self._class_of[stored] = wanted

    def transform(self, results: Results) -> Results:
        stored = results["gt_seg_map"]
        mask = cv2.LUT(stored, self._class_of).reshape(stored.shape)
        if (mask == _SUSPECT).any():
            self._refuse_strange(stored, results["seg_map_path"])
        results["gt_seg_map"] = mask
        return results

    def _refuse_strange(self, stored: Mask, path: str) -> None:
        strange = set(np.unique(stored).tolist()) - {k for k, _ in self._ids}
        if strange:
            ids = ", ".join(map(str, sorted(strange)))
            raise DataError(f"{path} holds the ids {ids}; allowed: {ids_in_words(self._ids)}")


@TRANSFORMS.register_module()
class ScalePicture(BaseTransform):  # type: ignore[misc]
    """Resizes picture and, where loaded, mask by `scale` times a factor drawn uniformly from `jitter`."""

    def __init__(self, scale: float, jitter: Sequence[float] = (1.0, 1.0)) -> None:
        self._scale = scale
        self._low, self._high = jitter

    def transform(self, results: Results) -> Results:
        factor = self._scale * np.random.uniform(self._low, self._high)
        height, width = scaled_size(results["img"].shape[:2], factor)
        size = width, height
        results["img"] = cv2.resize(results["img"], size, interpolation=scaling_interpolation(factor))
        for name in results.get("seg_fields", []):
            results[name] = cv2.resize(results[name], size, interpolation=cv2.INTER_NEAREST)
        results["img_shape"] = results["img"].shape[:2]
        return results


def scaled_size(size: tuple[int, int], factor: float) -> tuple[int, int]:
    """(height, width) of a picture of `size` that `ScalePicture` multiplies by `factor`."""
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def scaling_interpolation(factor: float) -> int:
    """OpenCV's number of the way in which `ScalePicture` resizes by `factor`."""
    return cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR


@TRANSFORMS.register_module()
class ShiftPicture(BaseTransform):  # type: ignore[misc]
    """Moves picture and mask by up to `max_shift` pixels each way; what comes in from outside is void."""

    def __init__(self, max_shift: int, seg_pad_val: int) -> None:
        self._max_shift = max_shift
        self._seg_pad_val = seg_pad_val

    def transform(self, results: Results) -> Results:
        dy, dx = (int(step) for step in np.random.randint(-self._max_shift, self._max_shift + 1, 2))
        results["img"] = self._moved(results["img"], dy, dx, fill=0, repeat_edge=True)
        for name in results.get("seg_fields", []):
            results[name] = self._moved(results[name], dy, dx, fill=self._seg_pad_val, repeat_edge=False)
        return results

    @staticmethod
    def _moved(array: Any, dy: int, dx: int, *, fill: int, repeat_edge: bool) -> Any:
        height, width = array.shape[:2]
        border = cv2.BORDER_REPLICATE if repeat_edge else cv2.BORDER_CONSTANT
        padded = cv2.copyMakeBorder(
            array, max(dy, 0), max(-dy, 0), max(dx, 0), max(-dx, 0), border, value=fill
        )
        return padded[max(-dy, 0) :, max(-dx, 0) :][:height, :width]


@TRANSFORMS.register_module()
class FastRandomCrop(BaseTransform):  # type: ignore[misc]
    """Equals mmseg's RandomCrop: the place is drawn again, at most ten times, where one class fills too much.

    Pixels are counted for as few classes as will tell, where mmseg sorts all pixels of every try.

    Args:
        crop_size: (height, width); a side that is shorter stays whole.
        cat_max_ratio: the share of the valid pixels that a class must stay below; 1 asks for nothing.
    """

    def __init__(self, crop_size: tuple[int, int], cat_max_ratio: float = 1.0) -> None:
        self._crop_size = crop_size
        self._cat_max_ratio = cat_max_ratio

    def transform(self, results: Results) -> Results:
        picture = results["img"]
        box = self._box(picture.shape)
        if self._cat_max_ratio < 1:
            for _ in range(_CROP_TRIES):
                if self._is_mixed(results["gt_seg_map"][box]):
                    break
                box = self._box(picture.shape)
        results["img"] = picture[box]
        for name in results.get("seg_fields", []):
            results[name] = results[name][box]
        results["img_shape"] = results["img"].shape[:2]
        return results

    def _box(self, shape: Sequence[int]) -> Box:
        """A place drawn anywhere in a picture of this shape."""
        height, width = self._crop_size
        top = np.random.randint(0, max(shape[0] - height, 0) + 1)
        left = np.random.randint(0, max(shape[1] - width, 0) + 1)
        return slice(top, top + height), slice(left, left + width)

    def _is_mixed(self, mask: Mask) -> bool:
        """Whether every class has less than the allowed share, which is below 1, of the valid pixels.

        Classes are counted from the one that leads in a sample on, until all the others together have less.
        """
        rest = valid = mask.size - _pixels(mask, IGNORE_INDEX)
        if not valid:
            return False
        sampled = np.bincount(mask[::_SAMPLED, ::_SAMPLED].ravel(), minlength=NUM_IDS)
        sampled[IGNORE_INDEX] = -1  # the last, when nothing is left
        for label in sampled.argsort()[::-1]:
            if rest / valid < self._cat_max_ratio:
                break
            count = _pixels(mask, label)
            if count / valid >= self._cat_max_ratio:
                return False
            rest -= count
        return True


def _pixels(mask: Mask, label: int) -> int:
    return int(np.count_nonzero(mask == label))


@TRANSFORMS.register_module()
class FastRandomFlip(BaseTransform):  # type: ignore[misc]
    """Equals mmseg's RandomFlip of direction "horizontal": left and right change places, or do not.

    Args:
        prob: of changing places, 0 to 1.
    """

    def __init__(self, prob: float) -> None:
        self._shares = [prob, 1.0 - prob]

    def transform(self, results: Results) -> Results:
        direction = np.random.choice(["horizontal", None], p=self._shares)  # type: ignore[arg-type]
        results["flip"], results["flip_direction"] = direction is not None, direction
        if direction is not None:
            for name in ("img", *results.get("seg_fields", [])):
                results[name] = cv2.flip(results[name], 1)
        return results


@TRANSFORMS.register_module()
class FastPackSegInputs(PackSegInputs):  # type: ignore[misc]
    """Equals mmseg's PackSegInputs, which is handed the picture's channels as planes already."""

    def transform(self, results: Results) -> Results:
        results["img"] = planes_of(results["img"]).transpose(1, 2, 0)
        packed: Results = super().transform(results)
        return packed


def planes_of(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(3, H, W): the channels of an (H, W, 3) picture one after the other."""
    planes = np.empty((picture.shape[2], *picture.shape[:2]), np.uint8)
    cv2.split(picture, list(planes))
    return planes
