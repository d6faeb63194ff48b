"""mmseg models small enough for a unit test: a tiny backbone under mmseg's heads, batches, SGD steps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import mmseg.models  # noqa: F401 - fills mmseg's registries
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.models.decode_heads import FCNHead
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from pydantic import TypeAdapter
from torch import Tensor, nn

from trainer.criterion import Criterion, build_criterion
from trainer.mmseg_adapter.head import deployable_state
from trainer.spec.methods import AnyMethod, Method

K, IGNORE, SIZE = 4, 255, 32
CHANNELS = (4, 6, 8, 8)
NORM = {"type": "BN"}


class TinyBackbone(nn.Module):
    """Four stages at strides 2 to 16."""

    def __init__(self) -> None:
        super().__init__()
        inputs = (3, *CHANNELS[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(i, o, 3, stride=2, padding=1), nn.BatchNorm2d(o), nn.ReLU())
            for i, o in zip(inputs, CHANNELS, strict=True)
        )

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        outputs = []
        for stage in self.stages:
            pictures = stage(pictures)
            outputs.append(pictures)
        return tuple(outputs)


class TwiceClassifying(FCNHead):
    """A head with a classifier of its own."""

    def cls_seg(self, feat: Tensor) -> Tensor:
        return 2 * super().cls_seg(feat)


class AfterThought(FCNHead):
    """A head that changes its classifier's logits afterwards."""

    def forward(self, inputs: Any) -> Tensor:
        return super().forward(inputs) + 1


OURS: tuple[type, ...] = (TinyBackbone, TwiceClassifying, AfterThought)


@contextmanager
def mmseg_scope() -> Iterator[None]:
    """mmseg's scope with our modules in it, one thread; all undone."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for made_here in OURS:
        MODELS.register_module(module=made_here, force=True)
    try:
        with DefaultScope.overwrite_default_scope("mmseg"):
            yield
    finally:
        for made_here in OURS:
            MODELS.module_dict.pop(made_here.__name__)
        torch.set_num_threads(threads)


def make_head(kind: str, **settings: Any) -> dict[str, Any]:
    common = {
        "type": kind,
        "in_channels": CHANNELS[-1],
        "in_index": 3,
        "channels": 8,
        "num_classes": K,
        "norm_cfg": NORM,
        "dropout_ratio": 0.1,
        "loss_decode": {"type": "CrossEntropyLoss", "avg_non_ignore": True},
    }
    return {**common, **settings}


ALL_LEVELS = {"in_channels": list(CHANNELS), "in_index": [0, 1, 2, 3]}
FCN = make_head("FCNHead", num_convs=1, concat_input=False)
OCR = [FCN, make_head("OCRHead", ocr_channels=4)]
HEADS: dict[str, Any] = {
    "FCNHead": FCN,
    "PSPHead": make_head("PSPHead", pool_scales=(1, 2)),
    "DepthwiseSeparableASPPHead": make_head(
        "DepthwiseSeparableASPPHead", dilations=(1, 2), c1_in_channels=4, c1_channels=3
    ),
    "UPerHead": make_head("UPerHead", pool_scales=(1, 2), align_corners=True, **ALL_LEVELS),
    "OCRHead": OCR,
}
OTHERS: dict[str, Any] = {
    "ANNHead": make_head("ANNHead", project_channels=4, in_channels=[8, 8], in_index=[2, 3]),
    "APCHead": make_head("APCHead", pool_scales=(1, 2)),
    "ASPPHead": make_head("ASPPHead", dilations=(1, 2)),
    "DAHead": make_head("DAHead", pam_channels=4),
    "DMHead": make_head("DMHead", filter_sizes=(1, 3)),
    "DNLHead": make_head("DNLHead"),
    "DepthwiseSeparableFCNHead": make_head("DepthwiseSeparableFCNHead", num_convs=1, concat_input=False),
    "EMAHead": make_head("EMAHead", ema_channels=8, num_bases=4, num_stages=1),
    "EncHead": make_head(
        "EncHead",
        num_codes=4,
        add_lateral=False,
        loss_se_decode={"type": "CrossEntropyLoss", "use_sigmoid": True, "loss_weight": 0.2},
        **ALL_LEVELS,
    ),
    "FPNHead": make_head(
        "FPNHead", feature_strides=[2, 4, 8, 16], **{**ALL_LEVELS, "in_channels": [8, 8, 8, 8]}
    ),
    "GCHead": make_head("GCHead"),
    "ISAHead": make_head("ISAHead", isa_channels=4, down_factor=(2, 2)),
    "LightHamHead": make_head("LightHamHead", ham_channels=8, ham_kwargs={"MD_R": 4}, **ALL_LEVELS),
    "NLHead": make_head("NLHead"),
    "SETRMLAHead": make_head("SETRMLAHead", mla_channels=4, in_channels=[8, 8], in_index=[3, 3]),
    "SETRUPHead": make_head("SETRUPHead"),
    "SegformerHead": make_head("SegformerHead", **ALL_LEVELS),
}


def make_model(head: Any, **settings: Any) -> nn.Module:
    """The plain mmseg model around `head`, initialised from seed 0."""
    cascade = isinstance(head, list)
    config = {
        "type": "CascadeEncoderDecoder" if cascade else "EncoderDecoder",
        "backbone": {"type": "TinyBackbone"},
        "decode_head": head,
        "train_cfg": {},
        "test_cfg": {"mode": "whole"},
        **({"num_stages": len(head)} if cascade else {}),
        **settings,
    }
    torch.manual_seed(0)
    model: nn.Module = MODELS.build(Config(copy.deepcopy(config)))
    model.init_weights()
    return model


def factory(**document: Any) -> Callable[[int, bool], Criterion]:
    method: AnyMethod = TypeAdapter(Method).validate_python(document)

    def criterion(feature_channels: int, align_corners: bool) -> Criterion:
        return build_criterion(
            method,
            pixel_counts=[1000, 100, 10, 1],
            region_counts=[100, 50, 5, 1],
            feature_channels=feature_channels,
            ignore_index=IGNORE,
            seed=0,
            align_corners=align_corners,
        )

    return criterion


REBALANCE = {"kind": "region_rebalance"}


def make_batch(step: int = 0) -> tuple[Tensor, list[SegDataSample]]:
    generator = torch.Generator().manual_seed(step)
    samples = []
    for _ in range(2):
        labels = torch.randint(0, K, (1, SIZE, SIZE), generator=generator)
        labels[:, : step + 1] = IGNORE
        samples.append(SegDataSample(gt_sem_seg=PixelData(data=labels), metainfo={"img_shape": (SIZE, SIZE)}))
    return torch.randn(2, 3, SIZE, SIZE, generator=generator), samples


def losses_of(model: Any, step: int = 0) -> dict[str, Tensor]:
    losses: dict[str, Tensor] = model.loss(*make_batch(step))
    return losses


def train(model: Any, steps: int) -> dict[str, Tensor]:
    """The model's state after some SGD steps whose dropout comes from torch's stream, seeded once."""
    torch.manual_seed(1)
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
    for step in range(steps):
        total, _ = model.parse_losses(losses_of(model, step))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    return deployable_state(model)
