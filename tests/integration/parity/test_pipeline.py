"""Samples of real ADE20K pictures are mmsegmentation's, bit for bit, in training and in evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS, MODELS

from tests.integration.parity.mmseg_files import mmseg_file, schedule
from trainer.data.prepare import prepare
from trainer.mmseg_adapter.config import render_config
from trainer.mmseg_adapter.data import seed_everything
from trainer.mmseg_adapter.model.config import revive
from trainer.spec.spec import parse_spec
from trainer.storage.layout import Storage

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:`reduce_zero_label`:UserWarning"),  # said of mmseg's own file
]

SEED = 3
SAMPLE_STREAM = 0  # what a training sample is drawn from: (seed of the run, this, position)
PASSES = 3


@pytest.fixture(scope="module")
def ade20k(shared_data: Path) -> Path:
    """The sample of ADE20K."""
    root = shared_data / "ade20k_tiny"
    if not (root / "annotations" / "training").is_dir():
        pytest.skip(f"no ADE20K sample in {shared_data}")
    return root


@pytest.fixture(scope="module")
def config(ade20k: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Our config of DeepLabV3+'s run on that data set, with the augmentation that it has of itself."""
    spec = parse_spec(
        {
            "dataset": {"name": "ade20k", "root": str(ade20k)},
            "model": "small",
            "method": "baseline",
            "schedule": schedule("deeplabv3plus_r50").model_dump(mode="json"),
            "seed": SEED,
        }
    )
    data = prepare(spec.dataset, Storage.at(tmp_path_factory.mktemp("storage")), print)
    rendered: dict[str, Any] = revive(render_config(spec, data, work_dir="work", loader_workers=0))
    return rendered


def datasets(config: dict[str, Any], ade20k: Path, loader: str) -> tuple[Any, Any]:
    """Ours as rendered, and the one of mmseg's file."""
    theirs = mmseg_file("deeplabv3plus_r50")[loader].dataset
    theirs.data_root = str(ade20k)
    with DefaultScope.overwrite_default_scope("mmseg"):
        return DATASETS.build(config[loader]["dataset"]), DATASETS.build(theirs)


def assert_same(ours: Any, theirs: Any) -> None:
    assert torch.equal(ours["inputs"], theirs["inputs"])
    assert torch.equal(ours["data_samples"].gt_sem_seg.data, theirs["data_samples"].gt_sem_seg.data)


def drawn(ours: Any, theirs: Any, position: int) -> tuple[Any, Any]:
    """The sample at one position of training, by either pipeline, with the same draws."""
    index = position % len(ours)
    seed_everything(SEED, SAMPLE_STREAM, position)
    return ours[position * len(ours) + index], theirs.pipeline(theirs.get_data_info(index))


def test_training_samples(config: dict[str, Any], ade20k: Path) -> None:
    """Several crops of each picture, with the draws of the same seed."""
    ours, theirs = datasets(config, ade20k, "train_dataloader")
    assert len(ours) == len(theirs) == 22
    names = [Path(theirs.get_data_info(index)["img_path"]).name for index in range(len(theirs))]
    assert names == [Path(ours.get_data_info(index)["img_path"]).name for index in range(len(ours))]
    flips = set()
    for position in range(PASSES * len(ours)):
        sample, expected = drawn(ours, theirs, position)
        assert_same(sample, expected)
        flips.add(bool(expected["data_samples"].metainfo["flip"]))
    assert flips == {True, False}


def test_training_batches(config: dict[str, Any], ade20k: Path) -> None:
    """What the model gets: padded to the crop, labels too, and normalised."""
    both = datasets(config, ade20k, "train_dataloader")
    pairs = [drawn(*both, position) for position in range(8)]
    assert any(ours["inputs"].shape != (3, 512, 512) for ours, _ in pairs), "none has to be padded"
    file = mmseg_file("deeplabv3plus_r50").model.data_preprocessor
    batches = []
    for config_of, samples in zip(
        (config["model"]["data_preprocessor"], file), zip(*pairs, strict=True), strict=True
    ):
        with DefaultScope.overwrite_default_scope("mmseg"):
            preprocessor = MODELS.build(config_of)
        batch = {name: [sample[name] for sample in samples] for name in ("inputs", "data_samples")}
        batches.append(preprocessor(batch, training=True))
    ours, theirs = batches
    assert torch.equal(ours["inputs"], theirs["inputs"])
    for mine, expected in zip(ours["data_samples"], theirs["data_samples"], strict=True):
        assert mine.gt_sem_seg.data.shape == (1, 512, 512)
        assert torch.equal(mine.gt_sem_seg.data, expected.gt_sem_seg.data)


def test_evaluation_samples(config: dict[str, Any], ade20k: Path) -> None:
    """Pictures fitted in 2048 by 512, masks at their full size."""
    ours, theirs = datasets(config, ade20k, "val_dataloader")
    assert len(ours) == len(theirs) == 11
    for index in range(len(ours)):
        assert_same(ours[index], theirs[index])
