"""Tiny backbones of mmsegmentation's, in a model, and their tensors as the authors of each publish them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mmseg.models  # noqa: F401 - fills mmseg's registries
import torch
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from torch import Tensor, nn

SIDE = 32
BACKBONES: dict[str, dict[str, Any]] = {
    "resnet": {"type": "ResNetV1c", "depth": 18, "base_channels": 4, "stem_channels": 4},
    "hrnet": {
        "type": "HRNet",
        "extra": {
            f"stage{i}": {
                "num_modules": 1,
                "num_branches": i,
                "block": "BOTTLENECK" if i == 1 else "BASIC",
                "num_blocks": (1,) * i,
                "num_channels": (4, 8, 16, 32)[:i],
            }
            for i in (1, 2, 3, 4)
        },
    },
    "swin": {
        "type": "SwinTransformer",
        "embed_dims": 8,
        "depths": (2, 2),
        "num_heads": (1, 2),
        "strides": (4, 2),
        "out_indices": (0, 1),
        "window_size": 4,
    },
    "beit": {
        "type": "BEiT",
        "img_size": (SIDE, SIDE),
        "patch_size": 4,
        "embed_dims": 8,
        "num_layers": 2,
        "num_heads": 2,
        "out_indices": (0, 1),
        "init_values": 0.1,
    },
    "vit": {
        "type": "VisionTransformer",
        "img_size": (SIDE, SIDE),
        "patch_size": 4,
        "embed_dims": 8,
        "num_layers": 2,
        "num_heads": 2,
        "final_norm": True,
    },
    "icnet": {
        "type": "ICNet",
        "backbone_cfg": {"type": "ResNetV1c", "depth": 18, "base_channels": 4, "stem_channels": 4},
        "layer_channels": (8, 32),
        "psp_out_channels": 4,
        "light_branch_middle_channels": 4,
        "out_channels": (4, 4, 4),
    },
}
# Names of ours → the authors'.
_TO_SWIN = (
    ("stages.", "layers."),
    (".attn.w_msa.", ".attn."),
    (".ffn.layers.0.0.", ".mlp.fc1."),
    (".ffn.layers.1.", ".mlp.fc2."),
    ("patch_embed.projection.", "patch_embed.proj."),
)
_TO_BEIT = (
    ("layers.", "blocks."),
    (".ln1.", ".norm1."),
    (".ln2.", ".norm2."),
    (".ffn.blocks.0.0.", ".mlp.fc1."),
    (".ffn.blocks.1.", ".mlp.fc2."),
    ("patch_embed.projection.", "patch_embed.proj."),
)
_TO_VIT = (
    *_TO_BEIT,
    (".attn.attn.in_proj_", ".attn.qkv."),
    (".attn.attn.out_proj.", ".attn.proj."),
)


def make_model(kind: str, seed: int = 0, **changes: Any) -> Any:
    """A model with a `backbone`, every tensor of which is drawn, so that none is as another's."""
    torch.manual_seed(seed)
    with DefaultScope.overwrite_default_scope("mmseg"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.meshgrid")  # BEiT's, of torch's next release
        model = nn.Module()
        model.backbone = MODELS.build({**BACKBONES[kind], **changes})
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(torch.randn_like(tensor) * 0.1 + name.endswith(("running_var", "norm1.weight")))
    return model.eval()


def authors(kind: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A backbone's tensors with the authors' names and order, and what else their files hold."""
    state = {name: tensor.clone() for name, tensor in tensors.items()}
    head = {"head.weight": torch.zeros(5, 16), "head.bias": torch.zeros(5), "norm.weight": torch.zeros(16)}
    if kind == "swin":
        state = {name: each for name, each in state.items() if not re.match(r"norm\d", name)}
        for name in [name for name in state if ".downsample." in name]:
            state[name] = _columns_first(state[name])
        return {**_renamed(state, _TO_SWIN), **head}
    if kind == "beit":
        return {**_renamed(state, _TO_BEIT), **head}
    renamed = _renamed(state, _TO_VIT)
    moved = {name: renamed.pop(name) for name in ("ln1.weight", "ln1.bias")}
    return {
        **renamed,
        **{name.replace("ln1", "norm"): each for name, each in moved.items()},
        "head.weight": head["head.weight"],
    }


def _columns_first(tensor: Tensor) -> Tensor:
    """The last axis of 4C, channel by channel with 2 × 2 pixels each → pixel by pixel, column by column."""
    *rest, width = tensor.shape
    order = [
        channel * 4 + row * 2 + column for column in (0, 1) for row in (0, 1) for channel in range(width // 4)
    ]
    return tensor[..., order].reshape(*rest, width)


def _renamed(state: dict[str, Tensor], pairs: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    renamed = {}
    for name, tensor in state.items():
        for ours, theirs in pairs:
            name = name.replace(ours, theirs)
        renamed[name] = tensor
    return renamed


def outputs(model: Any, side: int = SIDE) -> list[Tensor]:
    """What the backbone makes of one picture."""
    picture = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        return list(model.backbone(picture))


def write(path: Path, content: Any) -> Path:
    """A file of weights, as torch writes it."""
    torch.save(content, path)
    return path
