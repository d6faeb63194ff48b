"""Which of mmseg's heads our criterion can serve, and how it says so where it cannot."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from torch import Tensor, nn

from tests.unit.tiny_mmseg import (
    CHANNELS,
    FCN,
    HEADS,
    IGNORE,
    OTHERS,
    REBALANCE,
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


def test_two_and_three_branch_heads_keep_their_other_losses() -> None:
    """DDRNet's and PIDNet's heads, fed directly: ours on the classifier that predicts, theirs beside it."""
    entropy = {"type": "CrossEntropyLoss", "avg_non_ignore": True}
    hard = {"type": "OhemCrossEntropy", "min_kept": 10, "ignore_label": IGNORE}
    _, samples = make_batch()
    for sample in samples:
        sample.gt_edge_map = PixelData(data=(sample.gt_sem_seg.data == 0).long())
    wide, narrow = torch.randn(2, 8, 4, 4), torch.randn(2, 4, 8, 8)
    cases: list[tuple[dict[str, Any], tuple[Tensor, ...], set[str]]] = [
        (make_head("DDRHead", loss_decode=[hard, hard]), (narrow, wide), {"loss_spatial"}),
        (
            make_head("PIDHead", loss_decode=[entropy, hard, {"type": "BoundaryLoss"}, hard]),
            (narrow, wide, narrow),
            {"loss_sem_p", "loss_bd", "loss_sem_bd"},
        ),
    ]
    for config, inputs, others in cases:
        segmentor: Any = nn.Module()
        segmentor.decode_head = MODELS.build(Config(config))
        attach(segmentor, factory(**REBALANCE))
        losses = segmentor.decode_head.loss(inputs, samples, {})
        assert {key for key in losses if "loss" in key} == others | {"loss_pixel", "loss_region"}


UNSUPPORTED: dict[str, tuple[Any, str]] = {
    "STDCHead": (
        make_head("STDCHead", num_convs=1, concat_input=False, boundary_threshold=0.1),
        "losses of its own",
    ),
    "TwiceClassifying": ({**FCN, "type": "TwiceClassifying"}, "does not classify pixels"),
    "two for one": (
        make_head("FCNHead", num_classes=2, out_channels=1, threshold=0.5),
        "1 logits for 2 classes",
    ),
    "sampler": ({**FCN, "sampler": {"type": "OHEMPixelSampler"}}, "samples pixels"),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_heads_we_cannot_serve_are_named(name: str) -> None:
    """A head that classifies otherwise, or whose losses are other, is refused when attaching, and why."""
    head, match = UNSUPPORTED[name]
    model = make_model(head)
    before = type(model.decode_head)
    with pytest.raises(UnsupportedHead, match=match):
        attach(model, factory(**REBALANCE))
    assert type(model.decode_head) is before


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
