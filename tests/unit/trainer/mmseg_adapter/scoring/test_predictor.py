"""Labels of a picture in a mode: ours against mmseg's own at full size, on one model.

Letters: K classes, H W the picture's size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from mmseg.models.decode_heads import FCNHead
from mmseg.registry import MODELS
from torch import Tensor

from tests.unit.trainer import tiny_mmseg
from tests.unit.trainer.tiny_mmseg import HEADS, K, make_model
from trainer.mmseg_adapter.scoring.full_size import full_size_labels
from trainer.mmseg_adapter.scoring.heads import classifying_head, head_logits
from trainer.mmseg_adapter.scoring.inputs import PackViews
from trainer.mmseg_adapter.scoring.loop import predict_labels
from trainer.mmseg_adapter.scoring.predictor import Predictor, TestWay
from trainer.mmseg_adapter.scoring.views import views_of
from trainer.mmseg_adapter.way import written
from trainer.spec.evaluation import MODES, Mode, Slide

PREPROCESSOR = {"type": "SegDataPreProcessor", "mean": [120.0] * 3, "std": [60.0] * 3, "bgr_to_rgb": True}
SLIDE = Slide(window=(32, 40), stride=(24, 24))
WHOLE = TestWay((96, 64), 1.0, "whole")
SLIDING = TestWay((96, 64), 1.0, SLIDE)
TWO = Mode(name="two", scales=(0.75, 1.5), flip=True)
CASES = [(MODES["single_scale"], SLIDING), (TWO, WHOLE), (TWO, SLIDING), (Mode(name="f", flip=True), WHOLE)]
PICTURE = np.random.default_rng(0).integers(0, 256, (50, 71, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def _scope() -> Iterator[None]:
    with tiny_mmseg.mmseg_scope():
        MODELS.register_module(module=OwnWay, force=True)
        yield
        MODELS.module_dict.pop(OwnWay.__name__)


class OwnWay(FCNHead):
    """A head that makes its prediction itself, as it happens in the same way as all others."""

    def predict_by_feat(self, *args: Any) -> Any:
        return super().predict_by_feat(*args)


def make(kind: str = "FCNHead", **changes: Any) -> Any:
    """A model whose labels vary over a picture."""
    base = "FCNHead" if kind == "OwnWay" else kind
    model: Any = make_model({**HEADS[base], "type": kind, **changes}, data_preprocessor=PREPROCESSOR)
    classifier, generator = model.decode_head.conv_seg, torch.Generator().manual_seed(1)
    with torch.no_grad():
        classifier.weight.copy_(torch.randn(classifier.weight.shape, generator=generator))
        noise = torch.randn(1, 3, 64, 96, generator=generator)
        logits = model.eval().encode_decode(noise, [{"img_shape": (64, 96)}])
        deviations, means = torch.std_mean(logits, dim=(0, 2, 3))
        classifier.weight.div_(deviations[:, None, None, None])
        classifier.bias.copy_(-means / deviations)
    return model


def inputs(model: Any, mode: Mode, way: TestWay) -> Iterator[tuple[Tensor, bool]]:
    """The views as the model takes them, and whether they are mirrored."""
    for view in views_of(PICTURE, (mode,), way).values():
        for mirrored in (False, True)[: 1 + mode.flip]:
            pixels = view.flip(2) if mirrored else view
            yield model.data_preprocessor({"inputs": [pixels]}, False)["inputs"], mirrored


@pytest.mark.parametrize(("mode", "way"), CASES)
@pytest.mark.parametrize("kind", ["FCNHead", "UPerHead"])
@pytest.mark.filterwarnings("ignore:When align_corners=True:UserWarning")
def test_small_logits_give_the_labels_of_full_ones(kind: str, mode: Mode, way: TestWay) -> None:
    """At the picture's size, but for a tie or two; the model stays as it is."""
    model = make(kind)
    before = dict(model.test_cfg)
    labels = Predictor(model, mode, way).labels(PICTURE)
    assert labels.shape == PICTURE.shape[:2]
    assert labels.dtype == torch.int64
    expected = full_size_labels(model, inputs(model, mode, way), (50, 71), mode.inference or way.inference)
    assert (labels != expected).sum() <= 2
    assert len(labels.unique()) >= K - 1
    assert model.test_cfg == before
    assert "predict_by_feat" not in vars(model.decode_head)


@pytest.mark.parametrize(("mode", "way"), [*CASES, (MODES["single_scale"], WHOLE)])
def test_a_head_that_predicts_in_its_own_way(mode: Mode, way: TestWay) -> None:
    """It is asked for its whole prediction; where that is as of other heads, so are the labels."""
    own, other = make("OwnWay"), make()
    assert classifying_head(own) is None
    labels = Predictor(own, mode, way).labels(PICTURE)
    assert (labels != Predictor(other, mode, way).labels(PICTURE)).sum() <= 2


@pytest.mark.parametrize(("mode", "way"), [*CASES, (MODES["single_scale"], WHOLE)])
def test_a_single_logit(mode: Mode, way: TestWay) -> None:
    """A model of one logit for two classes labels where the mean probability is above its threshold."""
    model = make(num_classes=2, out_channels=1, threshold=0.4)
    labels = Predictor(model, mode, way).labels(PICTURE)
    means = []
    for scale in mode.scales:
        for mirrored in (False, True)[: 1 + mode.flip]:
            means.append(probability(model, mode, way, scale, mirrored))
    expected = torch.stack(means).mean(0) > 0.4
    assert set(labels.unique().tolist()) == {0, 1}
    assert (labels.bool() != expected).sum() <= 2


def probability(model: Any, mode: Mode, way: TestWay, scale: float, mirrored: bool) -> Tensor:
    """(H, W) of one view, as mmseg predicts it."""
    one = Mode(name="one", scales=(scale,))
    packed = PackViews([written(one, way)["mode"]], written(one, way)["way"]).transform({"img": PICTURE})
    [pixels] = packed["inputs"].values()
    sample = packed["data_samples"]
    sample.set_metainfo({"ori_shape": (50, 71), "img_shape": tuple(pixels.shape[1:])})
    if mirrored:
        pixels = pixels.flip(2)
        sample.set_metainfo({"flip": True, "flip_direction": "horizontal"})
    if way.inference == SLIDE:
        model.test_cfg.update(mode="slide", crop_size=SLIDE.window, stride=SLIDE.stride)
    with torch.no_grad():
        [done] = model.val_step({"inputs": [pixels], "data_samples": [sample]})
    model.test_cfg.update(mode="whole")
    found: Tensor = done.seg_logits.data[0]
    return found


@pytest.mark.parametrize("way", [WHOLE, SLIDING])
def test_single_scale_is_what_training_scores(way: TestWay) -> None:
    """Label for label, whole and in windows."""
    model, mode = make(), MODES["single_scale"]
    plain = written(mode, way)
    packed = PackViews([plain["mode"]], plain["way"]).transform({"img": PICTURE, "ori_shape": (50, 71)})
    [pixels] = packed["inputs"].values()
    sample = packed["data_samples"]
    sample.set_metainfo({"img_shape": tuple(pixels.shape[1:])})
    labels = Predictor(model, mode, way).labels(PICTURE)
    if way is SLIDING:
        model.test_cfg.update(mode="slide", crop_size=SLIDE.window, stride=SLIDE.stride)
    [scored] = predict_labels(model, {"inputs": [pixels], "data_samples": [sample]})
    assert torch.equal(scored.pred_sem_seg.data[0], labels)


def test_small_logits_are_small() -> None:
    """Of a head at a sixteenth of the picture's sides."""
    model = make()
    with torch.no_grad():
        assert head_logits(model, model.decode_head, torch.zeros(2, 3, 64, 96)).shape == (2, K, 4, 6)
