"""The authors' layouts: every tensor finds its place, and the converted ones compute the same."""

from __future__ import annotations

import pytest
import torch
from mmseg.models.utils.embed import PatchMerging
from torch import Tensor, nn

from tests.unit.trainer.mmseg_adapter.pretrained.backbones import authors, make_model
from trainer.mmseg_adapter.pretrained.convert import CONVERTERS, from_beit, from_swin
from trainer.weights.layouts import LAYOUTS


def test_every_layout_is_converted() -> None:
    """What a storage's note may say is what can be converted."""
    assert list(CONVERTERS) == list(LAYOUTS)


@pytest.mark.parametrize(("kind", "layout"), [("swin", "swin"), ("beit", "beit"), ("vit", "timm")])
def test_there_and_back(kind: str, layout: str) -> None:
    """mmsegmentation's tensors in the authors' names and order come back as they were."""
    backbone = make_model(kind).backbone
    back = CONVERTERS[layout](authors(kind, backbone.state_dict()))
    for name, tensor in backbone.state_dict().items():
        if kind == "swin" and name.startswith("norm"):
            continue
        assert torch.equal(back[name], tensor), name


class AuthorsMerging(nn.Module):
    """Patch merging as in the Swin Transformer authors' code: pixels joined column by column."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels)
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:  # (N, H, W, C)
        corners = [x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]]
        joined: Tensor = self.reduction(self.norm(torch.cat(corners, -1)))
        return joined.flatten(1, 2)


def test_a_converted_merging_computes_the_same() -> None:
    """mmsegmentation's PatchMerging with converted tensors is the authors' with theirs."""
    torch.manual_seed(0)
    theirs, ours = AuthorsMerging(3), PatchMerging(3, 6)
    for parameter in theirs.parameters():
        nn.init.normal_(parameter)
    prefix = "layers.0.downsample."
    converted = from_swin({prefix + name: each for name, each in theirs.state_dict().items()})
    ours.load_state_dict(
        {name.removeprefix("stages.0.downsample."): each for name, each in converted.items()}
    )
    x = torch.randn(2, 4, 6, 3)
    made, size = ours(x.flatten(1, 2), (4, 6))
    assert size == (2, 3)
    torch.testing.assert_close(made, theirs(x))


def test_a_shared_table_is_handed_to_each_block() -> None:
    """BEiT's files from before fine-tuning have one table of positions for all blocks."""
    table = torch.arange(6.0).reshape(3, 2)
    names = [f"blocks.{block}.attn.qkv.weight" for block in (0, 1, 11)]
    tensors = {name: torch.zeros(1) for name in names}
    converted = from_beit({**tensors, "rel_pos_bias.relative_position_bias_table": table})
    assert {name for name in converted if name.endswith("table")} == {
        f"layers.{block}.attn.relative_position_bias_table" for block in (0, 1, 11)
    }
    assert torch.equal(converted["layers.11.attn.relative_position_bias_table"], table)
