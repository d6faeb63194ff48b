"""From the layouts in which authors publish weights to the names and order of mmsegmentation's backbones.

Facts about both layouts: mmsegmentation, tools/model_converters (swin2mmseg, beit2mmseg, vit2mmseg), and the
authors' releases. What has no place in a backbone keeps its name, and is left over.
Letters: C channels before a merging, O after it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

Tensors = dict[str, Tensor]
_Renames = Sequence[tuple[str, str]]

_PATCHES = (r"^patch_embed\.proj\b", "patch_embed.projection")
_FFN = ((r"\.mlp\.fc1\.", ".ffn.layers.0.0."), (r"\.mlp\.fc2\.", ".ffn.layers.1."))
_SWIN: _Renames = (
    _PATCHES,
    *_FFN,
    (r"^layers\.", "stages."),
    (r"\.attn\.", ".attn.w_msa."),
)
_BEIT: _Renames = (
    _PATCHES,
    *_FFN,
    (r"^blocks\.", "layers."),
    (r"^(layers\.\d+)\.norm(?=\d)", r"\1.ln"),
)
_TIMM: _Renames = (
    *_BEIT,
    (r"\.attn\.qkv\.", ".attn.attn.in_proj_"),
    (r"\.attn\.proj\.", ".attn.attn.out_proj."),
    (r"^norm\.", "ln1."),
)
_SHARED_TABLE = "rel_pos_bias.relative_position_bias_table"
_BLOCK = re.compile(r"layers\.(\d+)\.")


def from_mmseg(tensors: Tensors) -> Tensors:
    """As they are."""
    return tensors


def from_swin(tensors: Tensors) -> Tensors:
    """The Swin Transformer authors' tensors, their patch mergings in the order of `torch.nn.Unfold`."""
    converted = _renamed(tensors, _SWIN)
    for name, tensor in converted.items():
        if name.endswith(".downsample.reduction.weight"):  # (O, 4C)
            converted[name] = _unfold_order(tensor)
        elif re.search(r"\.downsample\.norm\.(weight|bias)$", name):  # (4C,)
            converted[name] = _unfold_order(tensor[None])[0]
    return converted


def from_beit(tensors: Tensors) -> Tensors:
    """The BEiT authors' tensors; a table of positions that all blocks share is handed to each."""
    converted = _renamed(tensors, _BEIT)
    shared = converted.pop(_SHARED_TABLE, None)
    if shared is not None:
        blocks = {match[1] for name in converted if (match := _BLOCK.match(name))}
        converted |= {f"layers.{block}.attn.relative_position_bias_table": shared for block in blocks}
    return converted


def from_timm(tensors: Tensors) -> Tensors:
    """Timm's tensors of a ViT or DeiT."""
    return _renamed(tensors, _TIMM)


# One for each of `trainer.weights.layouts`.
CONVERTERS: Mapping[str, Callable[[Tensors], Tensors]] = {
    "mmseg": from_mmseg,
    "mmpretrain": from_mmseg,  # whose prefix is taken off wherever it is
    "swin": from_swin,
    "beit": from_beit,
    "timm": from_timm,
}


def _renamed(tensors: Tensors, renames: _Renames) -> Tensors:
    converted = {}
    for name, tensor in tensors.items():
        for pattern, replacement in renames:
            name = re.sub(pattern, replacement, name)
        converted[name] = tensor
    return converted


def _unfold_order(tensor: Tensor) -> Tensor:
    """(O, 4C) with the four pixels column by column, channels within → channels, rows and columns within.

    The authors join x[0::2, 0::2], x[1::2, 0::2], x[0::2, 1::2], x[1::2, 1::2]; mmsegmentation unfolds 2 × 2.
    """
    rows, columns = len(tensor), tensor.shape[1]
    return tensor.reshape(rows, 2, 2, columns // 4).permute(0, 3, 2, 1).flatten(1)
