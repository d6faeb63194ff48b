"""Labels from models whose prediction is more than one head's resized logits: mmseg's own, at full size.

Letters: K classes, H W the picture's size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.config import ConfigDict
from torch import Tensor
from torch.nn import functional

from trainer.spec.evaluation import Inference, Slide


@torch.no_grad()
def full_size_labels(
    model: Any, views: Iterable[tuple[Tensor, bool]], size: tuple[int, int], inference: Inference
) -> Tensor:
    """(H, W) int64, as mmseg's `SegTTAModel` merges the views; of one view, as its `postprocess_result`.

    One view at a time: memory is that of two maps of all classes, of the picture's size and of the view's.

    Args:
        views: normalised (1, 3, y, x) inputs, and whether they are mirrored.
    """
    single: bool = model.out_channels == 1
    total, number = torch.zeros(()), 0
    for inputs, mirrored in views:
        number += 1
        logits = _logits(model, inputs, mirrored, size, inference)
        if number == 1:
            total = logits  # of one view alone they are the answer
        elif number == 2:
            total = _probabilities(total, single).add_(_probabilities(logits, single))
        else:
            total += _probabilities(logits, single)
    if not single:
        return total.argmax(dim=0)
    mean = _probabilities(total, single) if number == 1 else total / number
    labels: Tensor = (mean[0] > model.decode_head.threshold).long()
    return labels


def _probabilities(logits: Tensor, single: bool) -> Tensor:
    return logits.sigmoid() if single else logits.softmax(dim=0)


def _logits(
    model: Any, inputs: Tensor, mirrored: bool, size: tuple[int, int], inference: Inference
) -> Tensor:
    """(K, H, W) of one view."""
    meta = {"img_shape": inputs.shape[2:], "pad_shape": inputs.shape[2:], "ori_shape": size}
    with _inferring(model, inference):
        logits: Tensor = model.inference(inputs, [meta])
    if mirrored:
        logits = logits.flip(3)
    return functional.interpolate(logits, size, mode="bilinear", align_corners=model.align_corners)[0]


@contextmanager
def _inferring(model: Any, inference: Inference) -> Iterator[None]:
    """Inside, the model predicts whole pictures or windows, whatever its own settings say."""
    before = model.test_cfg
    way: dict[str, Any] = {"mode": "whole"}
    if isinstance(inference, Slide):
        way = {"mode": "slide", "crop_size": inference.window, "stride": inference.stride}
    model.test_cfg = ConfigDict({**before, **way})
    try:
        yield
    finally:
        model.test_cfg = before
