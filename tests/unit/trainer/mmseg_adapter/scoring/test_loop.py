"""The validation loop's labels against those of plain mmseg's own prediction.

Letters: N pictures, K classes, H W label size.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.model import MMDistributedDataParallel
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.evaluation.metrics import IoUMetric
from mmseg.structures import SegDataSample
from torch import Tensor, distributed

from tests.data_factories import confusion, write_folder
from tests.factories import ListSink, tiny_plan
from tests.unit.trainer import tiny_mmseg
from tests.unit.trainer.tiny_mmseg import HEADS, IGNORE, OTHERS, REBALANCE, SIZE, K, make_model
from trainer.mmseg_adapter.head import attach
from trainer.mmseg_adapter.model.config import revive
from trainer.mmseg_adapter.scoring.loop import LabelLoop, predict_labels
from trainer.mmseg_adapter.scoring.metric import ConfusionMetric
from trainer.run.runner import build_model
from trainer.run.worker import train
from trainer.spec.data.datasets import IGNORE_INDEX

TIE = 1e-5  # of the largest logit


@pytest.fixture(autouse=True)
def _scope() -> Iterator[None]:
    with tiny_mmseg.mmseg_scope():
        yield


def make_data(original: tuple[int, int] = (SIZE, SIZE), **meta: Any) -> dict[str, Any]:
    """Two pictures of SIZE×SIZE as the loader gives them; `original` is what they were before they shrank."""
    generator = torch.Generator().manual_seed(3)
    samples = []
    for number in range(2):
        target = torch.randint(0, K, (1, *original), generator=generator)
        target[:, :2] = IGNORE
        path = f"{original[0]}x{original[1]}_{number}.png"
        info = {"img_path": path, "img_shape": (SIZE, SIZE), "ori_shape": original, **meta}
        samples.append(SegDataSample(gt_sem_seg=PixelData(data=target), metainfo=info))
    return {"inputs": torch.randn(2, 3, SIZE, SIZE, generator=generator), "data_samples": samples}


def sharpened(model: Any) -> Any:
    """The model in eval mode, with a classifier that prefers no class: labels vary over a picture."""
    head = model.decode_head[-1] if isinstance(model.decode_head, torch.nn.ModuleList) else model.decode_head
    torch.nn.init.normal_(head.conv_seg.weight)
    with torch.no_grad():
        logits = torch.stack([one.seg_logits.data for one in model.eval().val_step(make_data())])
        deviations, means = torch.std_mean(logits, dim=(0, 2, 3))
        head.conv_seg.bias.sub_(means).div_(deviations)
        head.conv_seg.weight.div_(deviations[:, None, None, None])
    return model


@torch.no_grad()
def assert_mmsegs(model: Any, data: dict[str, Any]) -> None:
    """`predict_labels` gives what `val_step` gives, ties aside: in labels, logits of labels, shapes."""
    theirs = model.val_step(copy.deepcopy(data))
    ours = predict_labels(model, copy.deepcopy(data))
    assert len(ours) == len(theirs) == 2
    for one, other in zip(ours, theirs, strict=True):
        labels, expected = one.pred_sem_seg.data, other.pred_sem_seg.data
        logits: Tensor = other.seg_logits.data
        assert labels.shape == expected.shape
        assert labels.dtype == expected.dtype == torch.int64
        short = logits.amax(0) - logits.gather(0, labels)[0]
        assert (short <= TIE * logits.abs().amax()).all()
        assert (labels != expected).sum() <= labels.numel() // 1000
        assert len(labels.unique()) > 1, "a prediction of one class shows nothing"


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("original", [(SIZE, SIZE), (2 * SIZE, 2 * SIZE), (37, 61)])
@pytest.mark.filterwarnings("ignore:When align_corners=True:UserWarning")
@pytest.mark.parametrize("name", ["FCNHead", "UPerHead", "OCRHead", "EncHead", "DAHead"])
def test_labels_are_mmsegs(name: str, original: tuple[int, int], align_corners: bool) -> None:
    """Plain heads, a cascade, heads whose forward gives more than logits; pictures shrunk before and not."""
    head = copy.deepcopy({**HEADS, **OTHERS}[name])
    for one in head if isinstance(head, list) else [head]:
        one["align_corners"] = align_corners
    assert_mmsegs(sharpened(make_model(head)), make_data(original))


def test_our_criterion_changes_no_label() -> None:
    """With the method attached the labels are those of the same model's own prediction."""
    model = make_model(HEADS["FCNHead"])
    attach(model, tiny_mmseg.factory(**REBALANCE))
    assert_mmsegs(sharpened(model), make_data())


@pytest.mark.parametrize(
    "meta",
    [
        {"flip": True, "flip_direction": "horizontal"},
        {"padding_size": [0, 5, 0, 3], "ori_shape": (29, 27)},
        {"img_padding_size": (2, 0, 1, 0), "ori_shape": (60, 60)},
        {"pad_shape": (40, 48, 3)},
    ],
)
def test_padding_and_flips(meta: dict[str, Any]) -> None:
    """Padded and flipped pictures come out as mmseg cuts and turns them."""
    assert_mmsegs(sharpened(make_model(HEADS["FCNHead"])), make_data(**meta))


@pytest.mark.parametrize("original", [(SIZE, SIZE), (37, 61)])
def test_sliding_windows(original: tuple[int, int]) -> None:
    """Where a picture is predicted in windows the labels are those of their mean logits."""
    settings = {"test_cfg": {"mode": "slide", "crop_size": (16, 16), "stride": (8, 8)}}
    assert_mmsegs(sharpened(make_model(HEADS["FCNHead"], **settings)), make_data(original))


def test_the_model_is_left_as_it_was() -> None:
    """Afterwards, even when the forward pass failed, the model predicts picture-sized logits as before."""
    model = sharpened(make_model(HEADS["FCNHead"]))
    before = model.val_step(make_data())[0].seg_logits.data
    predict_labels(model, make_data())
    assert torch.equal(model.val_step(make_data())[0].seg_logits.data, before)
    with pytest.raises(RuntimeError):
        predict_labels(model, {**make_data(), "inputs": torch.zeros(2, 1, SIZE, SIZE)})
    assert "predict_by_feat" not in vars(model.decode_head)
    assert torch.equal(model.val_step(make_data())[0].seg_logits.data, before)


@pytest.fixture
def gloo() -> Iterator[None]:
    """A process group of this process alone."""
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.usefixtures("gloo")
def test_the_loop_counts_what_mmseg_predicts(wrapped: bool) -> None:
    """LabelLoop's counts are a histogram of plain predictions, with the model bare and in DDP."""
    plain = sharpened(make_model(HEADS["FCNHead"]))
    runner = SimpleNamespace(
        model=MMDistributedDataParallel(plain, device_ids=None) if wrapped else plain,
        call_hook=lambda *_, **__: None,
        visualizer=SimpleNamespace(),
    )
    batches = [make_data((40, 50)), make_data()]
    loader: Any = _Loader(batches)
    metric = ConfusionMetric(num_classes=K, ignore_index=IGNORE)
    counts = LabelLoop(runner, loader, Evaluator([metric])).run()["counts"]
    expected = np.zeros((K, K), dtype=np.int64)
    with torch.no_grad():
        for sample in (sample for batch in batches for sample in plain.val_step(batch)):
            predicted, target = sample.pred_sem_seg.data, sample.gt_sem_seg.data
            expected += confusion(predicted, target, num_classes=K, ignore_index=IGNORE)
    assert counts.images == 4
    assert counts.confusion.sum() == expected.sum()
    assert np.abs(counts.confusion - expected).sum() <= expected.sum() // 500


class _Loader(list[dict[str, Any]]):
    dataset = torch.utils.data.TensorDataset(torch.zeros(4))


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_what_is_scored_is_what_plain_mmseg_predicts(tmp_path: Path, scale: float) -> None:
    """A run's counts are those of its deployed checkpoint in plain mmseg, predicting as mmseg does, and its
    scores those of mmseg's IoUMetric on these predictions, within its rounding and a tie or two.
    """
    rng = np.random.default_rng(0)
    masks = [rng.integers(0, 3, (4, 6)).repeat(12, axis=0).repeat(12, axis=1) for _ in range(3)]
    masks[2][:5] = IGNORE_INDEX
    root = write_folder(tmp_path / "data", {"train": masks[:2], "val": masks[1:]})
    plan = tiny_plan(
        tmp_path / "storage",
        dataset={"name": "folder", "root": str(root), "scale": scale},
        schedule={"iterations": 3, "batch_size": 2, "crop_size": [16, 16], "learning_rate": 0.1},
        method="region_rebalance",
    )
    scores = train(plan, ListSink()).evaluation["single_scale"]
    model: Any = build_model(plan)
    path = plan.layout.checkpoints(plan.experiment).local / "final.pth"
    model.load_state_dict(torch.load(path, weights_only=True)["state_dict"], strict=True)
    with DefaultScope.overwrite_default_scope("mmseg"):
        loader = Runner.build_dataloader(Config(revive(plan.config))["val_dataloader"])
    expected = np.zeros((3, 3), dtype=np.int64)
    metric = IoUMetric(ignore_index=IGNORE_INDEX)
    metric.dataset_meta = {"classes": ("0", "1", "2")}
    with torch.no_grad():
        for sample in (sample for batch in loader for sample in model.eval().val_step(batch)):
            assert sample.pred_sem_seg.shape == (48, 72)
            metric.process({}, [sample.to_dict()])
            predicted, target = sample.pred_sem_seg.data, sample.gt_sem_seg.data
            expected += confusion(predicted, target, num_classes=3, ignore_index=IGNORE_INDEX)
    found = np.array([[one.tp, one.fp, one.fn] for one in scores.classes])
    right = np.diagonal(expected)
    wanted = np.stack([right, expected.sum(axis=0) - right, expected.sum(axis=1) - right], axis=1)
    assert wanted.sum() > 0
    differing = np.abs(found - wanted).sum()
    assert differing <= 8, "more than ties"
    theirs = metric.evaluate(len(masks))
    for name in ("mIoU", "mAcc", "aAcc"):
        assert getattr(scores, name) == pytest.approx(theirs[name], abs=0.01 + 0.1 * differing)
