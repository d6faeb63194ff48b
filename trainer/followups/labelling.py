"""A picture read as in training, and labelled, with what goes wrong told in words.

Letters: H W size of the picture.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from trainer.base.errors import DataError, RegionRebalanceError
from trainer.data.headers import MAX_PIXELS, mask_fault
from trainer.data.listing import printable_name
from trainer.mmseg_adapter.decode import Picture, decoded
from trainer.mmseg_adapter.model.fit import MISFITS
from trainer.mmseg_adapter.scoring.predictor import Predictor
from trainer.mmseg_adapter.transforms import MapLabels
from trainer.spec.data.label_map import LabelMap

Labels = NDArray[np.uint8]


def read_picture(path: Path, *, name: str | None = None) -> Picture:
    """(H, W, 3) uint8, blue first, as the loader of an evaluation reads it.

    Raises:
        DataError: it cannot be used; by `name`, what is wrong and what is allowed.
    """
    found = decoded(path)
    if isinstance(found, str):
        raise DataError(f"{name or printable_name(path.name)} {found}")
    return found.picture


def read_truth(path: Path, size: tuple[int, int], *, label_map: LabelMap | None, num_classes: int) -> Labels:
    """(H, W) the classes and void of a mask.

    Args:
        size: (H, W) of its picture.
        label_map: what its ids mean; None: they are classes and void as they stand.

    Raises:
        DataError: it is not there, no mask, of another size, or holds other ids.
    """
    name = printable_name(path.name)
    try:
        fault = mask_fault(path.read_bytes())
    except OSError as error:
        raise DataError(f"the truth {path} cannot be read ({error.strerror})") from None
    if fault is not None:
        raise DataError(f"the truth {name} {fault}")
    try:
        with Image.open(path, formats=("PNG",)) as mask:
            stored = np.array(mask)
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"the truth {name} cannot be decoded: {error}") from None
    if stored.shape != size:
        got = f"{stored.shape[1]}×{stored.shape[0]}"
        raise DataError(f"the truth {name} is {got}; allowed: its picture's size, {size[1]}×{size[0]}")
    mapped: Labels = MapLabels(num_classes, label_map).transform(
        {"gt_seg_map": stored, "seg_map_path": name}
    )["gt_seg_map"]
    return mapped


def label_picture(predictor: Predictor, picture: Picture) -> Labels:
    """(H, W) the picture's classes.

    Raises:
        DataError: the model cannot take a picture of this size.
        torch.cuda.OutOfMemoryError: the device has too little memory for it.
    """
    try:
        labels: Labels = predictor.labels(picture).to(torch.uint8).cpu().numpy()
    except (RegionRebalanceError, torch.cuda.OutOfMemoryError, MemoryError):
        raise
    except MISFITS as error:
        height, width = picture.shape[:2]
        words = " ".join(str(error).split())[:300]
        raise DataError(
            f"the model cannot label a picture of {width}×{height}: {words}; allowed: one as large as those"
            f" that it was trained on, and at most {MAX_PIXELS:,} pixels"
        ) from error
    return labels
