"""Counts in each mode are those of mmsegmentation's own test loop on the same weights, ties aside.

Its side is `Runner.test` of a `SegTTAModel`, over the pipeline of mmsegmentation 1.x (`base` "native"), or
over one that resizes as 0.x's `MultiScaleFlipAug` did ("test_size").

Letters: K classes, H W a picture's size.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.evaluator import BaseMetric, Evaluator
from mmseg.models.segmentors import SegTTAModel
from numpy.typing import NDArray
from torch import Tensor, nn

from tests.data_factories import confusion
from tests.unit.trainer import tiny_mmseg
from tests.unit.trainer.tiny_mmseg import HEADS
from trainer.data.prepare import SplitFiles
from trainer.mmseg_adapter.config import views_loader
from trainer.mmseg_adapter.mmengine_compat import QuietRunner
from trainer.mmseg_adapter.model.config import revive
from trainer.mmseg_adapter.scoring.heads import head_logits
from trainer.mmseg_adapter.scoring.split import score_split
from trainer.mmseg_adapter.way import TestWay
from trainer.spec.data.datasets import IGNORE_INDEX
from trainer.spec.data.label_map import zero_is_void
from trainer.spec.evaluation import MODES, Inference, Mode, Slide

Labels = NDArray[np.int64]
SLIDE = Slide(window=(64, 96), stride=(48, 64))
BOX = (192, 128)  # the test size: about half of CamVid's pictures, and of ADE20K's as they are here
SIZES = {"camvid": (0.5, "test", 11), "ade20k_tiny": (0.3, "validation", 150)}
PICTURES = 2
TIES = (
    1e-4  # the share of pixels whose two best classes are equal within rounding: when written, 1 of 619,495
)
PREPROCESSOR = {
    "type": "SegDataPreProcessor",
    "mean": [123.675, 116.28, 103.53],
    "std": [58.395, 57.12, 57.375],
    "bgr_to_rgb": True,
}
pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:When align_corners=True:UserWarning"),
    pytest.mark.filterwarnings("ignore:The shape of value will convert:UserWarning"),  # by SegTTAModel
]


@pytest.fixture(autouse=True)
def _mmseg() -> Iterator[None]:
    with tiny_mmseg.mmseg_scope():
        yield


@pytest.fixture(scope="module")
def splits(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, SplitFiles]:
    """A few real pictures of each data set with their masks, made smaller."""
    found = {}
    for name, (factor, split, classes) in SIZES.items():
        given, root = shared_data / name, tmp_path_factory.mktemp(name)
        if not (given / "images" / split).is_dir():
            pytest.skip(f"no {name} in {shared_data}")
        for part in ("images", "annotations"):
            (root / part / "val").mkdir(parents=True)
        for picture in sorted((given / "images" / split).iterdir())[:PICTURES]:
            mask = cv2.imread(
                str(given / "annotations" / split / f"{picture.stem}.png"), cv2.IMREAD_UNCHANGED
            )
            size = round(mask.shape[1] * factor), round(mask.shape[0] * factor)
            small = cv2.resize(cv2.imread(str(picture)), size, interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(root / "images" / "val" / f"{picture.stem}.png"), small)
            ids = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
            cv2.imwrite(str(root / "annotations" / "val" / f"{picture.stem}.png"), ids)
        label_map = zero_is_void(classes) if name == "ade20k_tiny" else None
        found[name] = SplitFiles(str(root), "val", tuple(map(str, range(classes))), label_map=label_map)
    return found


def make_model(head: str, classes: int) -> nn.Module:
    """A small model of random weights whose labels vary over a picture."""
    model: Any = tiny_mmseg.make_model(
        {**HEADS[head], "num_classes": classes}, data_preprocessor=PREPROCESSOR
    )
    classifier, generator = model.decode_head.conv_seg, torch.Generator().manual_seed(1)
    with torch.no_grad():
        classifier.weight.copy_(torch.randn(classifier.weight.shape, generator=generator))
        logits = head_logits(model.eval(), model.decode_head, torch.randn(1, 3, *BOX, generator=generator))
        deviations, means = torch.std_mean(logits, dim=(0, 2, 3))
        classifier.weight.div_(deviations[:, None, None, None])
        classifier.bias.copy_(-means / deviations)  # no class is preferred
    return model  # type: ignore[no-any-return]


class Kept(BaseMetric):  # type: ignore[misc]
    """The labels and the target of each picture, by its file's name."""

    def __init__(self) -> None:
        super().__init__(prefix="kept")
        self.labels: dict[str, tuple[Labels, Labels]] = {}

    def process(self, data_batch: Any, data_samples: Any) -> None:
        del data_batch
        for sample in data_samples:
            pair = (sample[name]["data"].squeeze(0).numpy() for name in ("pred_sem_seg", "gt_sem_seg"))
            self.labels[Path(sample["img_path"]).name] = tuple(pair)  # type: ignore[assignment]
            self.results.append(None)

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        return {"pictures": len(results)}


def resizes(mode: Mode) -> list[dict[str, Any]]:
    """The resizing of each scale in mmseg's words."""
    if mode.base == "native":  # as in `tta_pipeline` of its files
        return [{"type": "Resize", "scale_factor": r, "keep_ratio": True} for r in mode.scales]
    # as 0.x's `MultiScaleFlipAug` makes of `img_scale` and `img_ratios`
    boxes = [(int(BOX[0] * r), int(BOX[1] * r)) for r in mode.scales]
    return [{"type": "Resize", "scale": box, "keep_ratio": True} for box in boxes]


def their_labels(
    model: Any, files: SplitFiles, mode: Mode, inference: Inference, work_dir: Path
) -> dict[str, tuple[Labels, Labels]]:
    """Labels and target of each picture from mmseg's test loop."""
    flips = [{"type": "RandomFlip", "prob": float(one), "direction": "horizontal"} for one in (0, 1)]
    loader = views_loader(files, (mode,), WAY, loader_workers=0, pinned=False)
    load, annotations, mapped, _ = loader["dataset"]["pipeline"]
    transforms = [resizes(mode), flips[: 1 + mode.flip], [annotations], [mapped], [{"type": "PackSegInputs"}]]
    loader["dataset"]["pipeline"] = [load, {"type": "TestTimeAug", "transforms": transforms}]
    theirs = copy.deepcopy(model)
    if isinstance(inference, Slide):
        theirs.test_cfg = ConfigDict(mode="slide", crop_size=inference.window, stride=inference.stride)
    kept = Kept()
    runner = QuietRunner(
        model=SegTTAModel(module=theirs),
        work_dir=str(work_dir),
        test_dataloader=revive(loader),
        test_cfg={"type": "TestLoop"},
        test_evaluator=Evaluator([kept]),
        default_hooks=dict.fromkeys(("logger", "checkpoint", "sampler_seed", "timer", "param_scheduler")),
        default_scope="mmseg",
        log_level="ERROR",
        experiment_name=f"parity-{work_dir.name}",
    )
    runner.test()
    return kept.labels


WAY = TestWay(test_size=BOX, scale=1.0, inference="whole")
SLIDING = replace(WAY, inference=SLIDE)
MODES_HERE = {
    "whole": (MODES["single_scale"], WAY),
    "windows": (MODES["single_scale"], SLIDING),
    "multi_scale": (MODES["multi_scale"], WAY),
    "multi_scale of windows": (MODES["multi_scale"], SLIDING),
    "multi_scale_native": (MODES["multi_scale_native"], WAY),
}


@pytest.mark.parametrize("case", MODES_HERE)
@pytest.mark.parametrize(("head", "dataset"), [("FCNHead", "camvid"), ("UPerHead", "ade20k_tiny")])
def test_counts_are_mmsegs(
    head: str, dataset: str, case: str, splits: dict[str, SplitFiles], tmp_path: Path
) -> None:
    """The labels of each picture, and the counts of the split; the pictures are not all one label."""
    files, (mode, way) = splits[dataset], MODES_HERE[case]
    number = len(files.classes)
    model = make_model(head, number)
    found: dict[str, Labels] = {}

    def keep(name: str, labels: dict[str, Tensor], target: Tensor) -> None:
        assert labels[case].shape == target.shape
        found[name] = labels[case].numpy()

    counts = score_split(model, files, {case: mode}, way, on_picture=keep)[case]
    theirs = their_labels(model, files, mode, way.inference, tmp_path)
    assert found.keys() == theirs.keys()
    pixels = sum(labels.size for labels in found.values())
    ties = sum(int((found[name] != labels).sum()) for name, (labels, _) in theirs.items())
    assert ties <= TIES * pixels
    expected = sum(
        confusion(*pair, num_classes=number, ignore_index=IGNORE_INDEX) for pair in theirs.values()
    )
    assert counts.images == len(theirs) == PICTURES
    assert counts.confusion.sum() == np.sum(expected) > 0
    assert np.abs(counts.confusion - expected).sum() <= 2 * ties
    assert all(len(np.unique(labels)) > 4 for labels in found.values())
