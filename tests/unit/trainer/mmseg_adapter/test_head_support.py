"""Which of mmseg's heads our criterion can serve, and how it says so where it cannot."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.structures import PixelData
from mmseg.models import decode_heads
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import nn

from tests.unit.trainer.tiny_mmseg import (
    CHANNELS,
    FCN,
    HEADS,
    IGNORE,
    OTHERS,
    REBALANCE,
    K,
    factory,
    losses_of,
    make_batch,
    make_head,
    make_model,
    mmseg_scope,
)
from trainer.mmseg_adapter.head import UnsupportedHead, attach

# mmseg's own remarks, on sizes and on how it makes a sampler.
pytestmark = [
    pytest.mark.filterwarnings("ignore:When align_corners=True:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*build_pixel_sampler.*:UserWarning"),
]


@pytest.fixture(autouse=True)
def _mmseg() -> Iterator[None]:
    with mmseg_scope():
        yield


@pytest.mark.parametrize("name", [*HEADS, *OTHERS])
def test_losses_appear_under_the_heads_prefix(name: str) -> None:
    """Ours replace the head's own on its classifier; every parameter of the branch gets a gradient."""
    head = {**HEADS, **OTHERS}[name]
    settings: dict[str, Any] = {}
    if name == "FPNHead":
        settings["neck"] = {"type": "FPN", "in_channels": list(CHANNELS), "out_channels": 8, "num_outs": 4}
    model = make_model(head, **settings)
    attach(model, factory(**REBALANCE))
    losses = losses_of(model)
    prefix = "decode_1." if isinstance(head, list) else "decode."
    ours = {"loss_pixel", "loss_region", "num_regions", "region_acc", "acc_seg"}
    assert {prefix + key for key in ours} <= set(losses)
    assert f"{prefix}loss_ce" not in losses
    total, _ = model.parse_losses(losses)  # type: ignore[operator]
    total.backward()
    branch = dict(model.named_parameters())
    assert all(
        value.grad is not None and value.grad.isfinite().all()
        for key, value in branch.items()
        if "rebalance_criterion" in key
    )


def test_other_losses_of_a_head_stay() -> None:
    """Dual attention keeps its two extra losses, context encoding its one, OCR its first head's."""
    wanted = {
        "DAHead": {"decode.pam.loss_ce", "decode.cam.loss_ce"},
        "EncHead": {"decode.loss_se"},
        "OCRHead": {"decode_0.loss_ce"},
    }
    for name, others in wanted.items():
        model = make_model({**HEADS, **OTHERS}[name])
        attach(model, factory(kind="baseline"))
        ours = {"decode_1.loss_pixel"} if name == "OCRHead" else {"decode.loss_pixel"}
        assert {key for key in losses_of(model) if "loss" in key} == others | ours


def test_heads_that_want_other_inputs_than_a_backbones_stages() -> None:
    """Fed directly. DDRNet's and PIDNet's: ours on the classifier that predicts, their other losses beside;
    DPT's takes pairs of a map and a token, Lite R-ASPP's a map of 49 cells or more.
    """
    entropy = {"type": "CrossEntropyLoss", "avg_non_ignore": True}
    hard = {"type": "OhemCrossEntropy", "min_kept": 10, "ignore_label": IGNORE}
    _, samples = make_batch()
    for sample in samples:
        sample.gt_edge_map = PixelData(data=(sample.gt_sem_seg.data == 0).long())
    wide, narrow = torch.randn(2, 8, 4, 4), torch.randn(2, 4, 8, 8)
    lraspp = {"in_channels": (4, 6, 8), "in_index": (0, 1, 2), "input_transform": "multiple_select"}
    dpt = {"embed_dims": 8, "post_process_channels": [4, 4, 8, 8], "in_index": (0, 1, 2, 3)}
    cases: list[tuple[dict[str, Any], Any, set[str]]] = [
        (make_head("DDRHead", loss_decode=[hard, hard]), (narrow, wide), {"loss_spatial"}),
        (
            make_head("PIDHead", loss_decode=[entropy, hard, {"type": "BoundaryLoss"}, hard]),
            (narrow, wide, narrow),
            {"loss_sem_p", "loss_bd", "loss_sem_bd"},
        ),
        (
            make_head("LRASPPHead", branch_channels=(4, 4), **lraspp),
            tuple(torch.randn(2, channels, 49, 49) for channels in (4, 6, 8)),
            set(),
        ),
        (
            make_head("DPTHead", input_transform="multiple_select", **{**dpt, "in_channels": (8, 8, 8, 8)}),
            [(torch.randn(2, 8, 4, 4), torch.randn(2, 8)) for _ in range(4)],
            set(),
        ),
    ]
    assert {config["type"] for config, _, _ in cases} == set(FED_DIRECTLY)
    for config, inputs, others in cases:
        segmentor: Any = nn.Module()
        segmentor.decode_head = MODELS.build(Config(config))
        attach(segmentor, factory(**REBALANCE))
        losses = segmentor.decode_head.loss(inputs, samples, {})
        assert {key for key in losses if "loss" in key} == others | {"loss_pixel", "loss_region"}


FED_DIRECTLY = ("DDRHead", "DPTHead", "LRASPPHead", "PIDHead")
UNSUPPORTED: dict[str, tuple[Any, str]] = {
    "STDCHead": (
        make_head("STDCHead", num_convs=1, concat_input=False, boundary_threshold=0.1),
        "losses of its own",
    ),
    "IterativeDecodeHead": (
        {
            "type": "IterativeDecodeHead",
            "num_stages": 0,
            "kernel_generate_head": FCN,
            "kernel_update_head": [],
        },
        "does not classify pixels",  # K-Net: masks from kernels that it refines
    ),
    "SegmenterMaskTransformerHead": (
        make_head("SegmenterMaskTransformerHead", num_layers=1, num_heads=2, embed_dims=8),
        "does not classify pixels",  # products of pixels and class tokens
    ),
    "VPDDepthHead": (
        {"type": "VPDDepthHead", "in_channels": [16] * 4, "embed_dim": 8, "feature_dim": 16},
        "does not classify pixels",  # depth
    ),
    "TwiceClassifying": ({**FCN, "type": "TwiceClassifying"}, "does not classify pixels"),
    "two for one": (
        make_head("FCNHead", num_classes=2, out_channels=1, threshold=0.5),
        "1 logits for 2 classes",
    ),
    "sampler": ({**FCN, "sampler": {"type": "OHEMPixelSampler"}}, "samples pixels"),
}


_DECODER = ("num_heads", "num_layers", "embed_channels", "mlp_channels", "num_mlp", "rescale")
_SAN = {"in_channels": 3, "embed_dims": 8, "clip_channels": 8, "num_queries": 2, "fusion_index": [0]}
# Their operators come with mmcv's compiled part alone. By their code, criss-cross and point-wise attention
# would be served, and the other two refused, having no conv_seg.
NEEDS_OPERATORS: dict[str, Any] = {
    "CCHead": make_head("CCHead"),
    "PSAHead": make_head("PSAHead", mask_size=(4, 4)),
    "PointHead": make_head("PointHead", in_channels=[8], in_index=[3]),
    "SideAdapterCLIPHead": {
        "type": "SideAdapterCLIPHead",
        "num_classes": K,
        "san_cfg": {
            "cfg_encoder": dict.fromkeys(("num_encode_layer", "num_heads", "mlp_ratio"), 1),
            "cfg_decoder": dict.fromkeys(_DECODER, 1),
            **_SAN,
        },
        "maskgen_cfg": {"sos_token_num": 2},
        "deep_supervision_idxs": [0],
        "train_cfg": {},
    },
}
# mmdet's mask classification, and parts of other heads.
NO_DECODE_HEADS = {"KernelUpdateHead", "KernelUpdator", "Mask2FormerHead", "MaskFormerHead"}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_heads_we_cannot_serve_are_named(name: str) -> None:
    """A head that classifies otherwise, or whose losses are other, is refused when attaching, and why."""
    head, match = UNSUPPORTED[name]
    model = make_model(head)
    before = type(model.decode_head)
    with pytest.raises(UnsupportedHead, match=match):
        attach(model, factory(**REBALANCE))
    assert type(model.decode_head) is before


@pytest.mark.parametrize("name", NEEDS_OPERATORS)
def test_heads_with_compiled_operators_cannot_be_made_here(name: str) -> None:
    """mmseg itself refuses to build them; one that builds belongs in a list above."""
    with pytest.raises(RuntimeError, match=r"install \S*mmcv"):
        MODELS.build(Config(NEEDS_OPERATORS[name]))


def test_every_head_of_mmseg_is_in_a_list() -> None:
    """A head that a new mmseg brings fails this until someone has tried it."""
    there = {
        name
        for name, kind in MODELS.module_dict.items()
        if kind.__module__.startswith("mmseg.models.decode_heads.")
    }
    assert there >= set(decode_heads.__all__)
    tried = [*HEADS, *OTHERS, *FED_DIRECTLY, *UNSUPPORTED, *NEEDS_OPERATORS]
    assert there - {*tried, *NO_DECODE_HEADS} == set()
    assert len(tried) == len(set(tried))
    assert not [name for name in NO_DECODE_HEADS if issubclass(getattr(decode_heads, name), BaseDecodeHead)]


def test_logits_changed_after_classifying_are_noticed() -> None:
    """What cannot be seen when attaching is refused in the first step: logits that cls_seg did not give."""
    model = make_model({**FCN, "type": "AfterThought"})
    attach(model, factory(**REBALANCE))
    with pytest.raises(UnsupportedHead, match="AfterThought does not return"):
        losses_of(model)


def test_attaching_to_nothing_or_twice_is_refused() -> None:
    """A model without a decode head, and one that has a criterion, are both refused."""
    with pytest.raises(UnsupportedHead, match="no BaseDecodeHead"):
        attach(nn.Linear(1, 1), factory(**REBALANCE))
    model = make_model(FCN)
    attach(model, factory(**REBALANCE))
    with pytest.raises(UnsupportedHead, match="already"):
        attach(model, factory(**REBALANCE))


def test_the_error_pickles() -> None:
    """UnsupportedHead crosses process borders with its message."""
    assert str(pickle.loads(pickle.dumps(UnsupportedHead("why")))) == "why"
