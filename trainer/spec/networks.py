"""A model in mmsegmentation's terms as plain data, and the small one, which is ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Network:
    """A model in mmseg's terms as plain data, and how it wants its pixels.

    `num_classes` is filled in when the plan is made; on a CPU SyncBN becomes BN.
    """

    model: Mapping[str, Any]
    mean: tuple[float, ...] = (123.675, 116.28, 103.53)  # ImageNet's, RGB
    std: tuple[float, ...] = (58.395, 57.12, 57.375)
    bgr_to_rgb: bool = True


_NORM = {"type": "SyncBN", "requires_grad": True}

SMALL: dict[str, Any] = {
    "type": "EncoderDecoder",
    "backbone": {
        "type": "ResNetV1c",
        "depth": 18,
        "stem_channels": 28,
        "base_channels": 28,
        "num_stages": 3,
        "strides": (1, 2, 2),
        "dilations": (1, 1, 1),
        "out_indices": (0, 1, 2),
        "norm_eval": False,
        "norm_cfg": _NORM,
        "style": "pytorch",
        "contract_dilation": True,
    },
    "decode_head": {
        "type": "FCNHead",
        "norm_cfg": _NORM,
        "in_channels": (28, 56, 112),
        "in_index": (0, 1, 2),
        "input_transform": "resize_concat",
        "channels": 128,
        "num_convs": 1,
        "kernel_size": 1,
        "concat_input": False,
        "dropout_ratio": 0.0,
        "align_corners": False,
    },
}
