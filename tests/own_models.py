"""Own models as a person would post them, small enough to train in a unit test: pictures of 32×32."""

from __future__ import annotations

import copy
from typing import Any

_BN = {"type": "BN", "requires_grad": True}
_PYRAMID = {"in_index": [0, 1, 2, 3], "channels": 8, "norm_cfg": _BN}
_RESNET = {"type": "ResNet", "depth": 18, "stem_channels": 4, "base_channels": 4, "norm_cfg": _BN}
_HRNET = {
    "type": "HRNet",
    "norm_cfg": _BN,
    "extra": {
        "stage1": {
            "num_modules": 1,
            "num_branches": 1,
            "block": "BOTTLENECK",
            "num_blocks": [1],
            "num_channels": [8],
        },
        **{
            f"stage{number}": {
                "num_modules": 1,
                "num_branches": number,
                "block": "BASIC",
                "num_blocks": [1] * number,
                "num_channels": [4, 8, 16, 32][:number],
            }
            for number in (2, 3, 4)
        },
    },
}
_FUSING = {
    "type": "FCNHead",
    "in_channels": [4, 8, 16, 32],
    "input_transform": "resize_concat",
    "num_convs": 1,
    "kernel_size": 1,
    "concat_input": False,
    **_PYRAMID,
}

OWN_MODELS: dict[str, dict[str, Any]] = {
    "segformer": {
        "backbone": {
            "type": "MixVisionTransformer",
            "embed_dims": 8,
            "num_layers": [1, 1, 1, 1],
            "num_heads": [1, 1, 1, 1],
            "qkv_bias": True,
            "drop_path_rate": 0.1,
        },
        "decode_head": {"type": "SegformerHead", "in_channels": [8, 8, 8, 8], **_PYRAMID},
    },
    "upernet_resnet": {
        "backbone": _RESNET,
        "decode_head": {"type": "UPerHead", "in_channels": [4, 8, 16, 32], "pool_scales": [1, 2], **_PYRAMID},
    },
    "fcn_hrnet": {"backbone": _HRNET, "decode_head": _FUSING},
    "pspnet": {
        "type": "EncoderDecoder",
        "backbone": {
            **_RESNET,
            "type": "ResNetV1c",
            "strides": [1, 2, 1, 1],
            "dilations": [1, 1, 2, 4],
            "contract_dilation": True,
            "plugins": [
                {
                    "cfg": {"type": "ContextBlock", "ratio": 0.5},
                    "stages": [False, True, True, False],
                    "position": "after_conv3",
                }
            ],
            "depth": 50,
            "base_channels": 2,
        },
        "neck": None,
        "decode_head": {
            "type": "PSPHead",
            "in_channels": 64,
            "in_index": 3,
            "channels": 8,
            "pool_scales": [1, 2],
            "norm_cfg": _BN,
        },
        "auxiliary_head": {
            "type": "FCNHead",
            "in_channels": 32,
            "in_index": 2,
            "channels": 4,
            "num_convs": 1,
            "concat_input": False,
            "norm_cfg": _BN,
            "act_cfg": {"type": "LeakyReLU", "negative_slope": 0.1},
        },
    },
    "beit": {
        "backbone": {
            "type": "BEiT",
            "img_size": [32, 32],
            "patch_size": 8,
            "embed_dims": 8,
            "num_layers": 4,
            "num_heads": 2,
            "out_indices": [0, 1, 2, 3],
        },
        "neck": {"type": "Feature2Pyramid", "embed_dim": 8, "rescales": [4, 2, 1, 0.5]},
        "decode_head": {"type": "UPerHead", "in_channels": [8, 8, 8, 8], "pool_scales": [1, 2], **_PYRAMID},
    },
    "ocrnet": {
        "type": "CascadeEncoderDecoder",
        "num_stages": 2,
        "backbone": _HRNET,
        "decode_head": [
            _FUSING,
            {
                "type": "OCRHead",
                "in_channels": [4, 8, 16, 32],
                "input_transform": "resize_concat",
                "ocr_channels": 4,
                **_PYRAMID,
            },
        ],
    },
    "fpn": {
        "backbone": _RESNET,
        "neck": {"type": "FPN", "in_channels": [4, 8, 16, 32], "out_channels": 8, "num_outs": 4},
        "decode_head": {
            "type": "FPNHead",
            "in_channels": [8, 8, 8, 8],
            "feature_strides": [4, 8, 16, 32],
            **_PYRAMID,
        },
        "auxiliary_head": [
            {"type": "FCNHead", "in_channels": 8, "in_index": 1, "channels": 4, "num_convs": 1}
        ],
    },
    "unet": {
        "backbone": {
            "type": "UNet",
            "base_channels": 4,
            "num_stages": 3,
            "strides": [1, 1, 1],
            "enc_num_convs": [1, 1, 1],
            "dec_num_convs": [1, 1],
            "downsamples": [True, True],
            "enc_dilations": [1, 1, 1],
            "dec_dilations": [1, 1],
            "norm_cfg": {"type": "GN", "num_groups": 2},
            "upsample_cfg": {"type": "InterpConv", "upsample_cfg": {"scale_factor": 2, "mode": "nearest"}},
        },
        "decode_head": {
            "type": "ASPPHead",
            "in_channels": 4,
            "in_index": 2,
            "channels": 4,
            "dilations": [1, 2],
        },
    },
}


def changed(name: str, **changes: Any) -> dict[str, Any]:
    """A copy of a model; each change is a path with `__` for `/`: `backbone__depth=19`."""
    document = copy.deepcopy(OWN_MODELS[name])
    for path, value in changes.items():
        *parents, last = path.split("__")
        place: Any = document
        for key in parents:
            place = place[int(key) if key.isdecimal() else key]
        place[last] = value
    return document
