"""The packaged classes, colours and layouts of public data sets are mmsegmentation's own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import mmseg
import pytest
from mmengine.config import Config
from mmseg.datasets import ADE20KDataset, COCOStuffDataset

from tests.paths import ROOT
from trainer.data.frequency_tables import PACKAGED_IMAGES, packaged_names, packaged_table
from trainer.spec.data.datasets import DATASETS

FILES = Path(mmseg.__file__).parent / ".mim/configs/_base_/datasets"
THEIRS = {
    "ade20k": (ADE20KDataset, "ade20k.py"),
    "cocostuff164k": (COCOStuffDataset, "coco-stuff164k.py"),
    "cocostuff10k": (COCOStuffDataset, "coco-stuff10k.py"),
}


def step(pipeline: list[Any], kind: str) -> Any:
    (found,) = [each for each in pipeline if each["type"] == kind]
    return found


@pytest.mark.parametrize("name", THEIRS)
def test_classes_and_colours(name: str) -> None:
    """Names in mmsegmentation's order with its palette, and the packaged table has the same names."""
    entry, (theirs, _) = DATASETS[name], THEIRS[name]
    assert entry.classes == tuple(each.strip() for each in theirs.METAINFO["classes"])
    assert entry.palette == tuple(map(tuple, theirs.METAINFO["palette"]))
    assert packaged_table(name).classes == entry.classes
    assert entry.default("frequency_table") == name


@pytest.mark.parametrize("name", THEIRS)
def test_layout_and_augmentation(name: str) -> None:
    """Splits, endings, void, sizes and jitter are those of mmsegmentation's file for the data set."""
    entry, (theirs, file) = DATASETS[name], THEIRS[name]
    config = Config.fromfile(FILES / file)
    for field, loader in (("train_split", config.train_dataloader), ("eval_split", config.val_dataloader)):
        split = entry.default(field)
        prefix = {"img_path": f"images/{split}", "seg_map_path": f"annotations/{split}"}
        assert loader.dataset.data_prefix == prefix
    masks = step(config.train_pipeline, "LoadAnnotations")
    assert entry.layout.zero_is_void == masks.get("reduce_zero_label", False)
    suffix = theirs.__init__.__defaults__[1]
    assert entry.layout.mask_ending == suffix
    assert Path(config.data_root).name in {Path(usual).name for usual in entry.layout.directories}
    resize, crop = step(config.train_pipeline, "RandomResize"), step(config.train_pipeline, "RandomCrop")
    ours = entry.augmentation
    assert (ours["resize_base"], ours["jitter"]) == (tuple(resize["scale"]), tuple(resize["ratio_range"]))
    assert ours["test_size"] == tuple(step(config.test_pipeline, "Resize")["scale"])
    assert ours["cat_max_ratio"] == crop["cat_max_ratio"]
    assert ours["flip"] == step(config.train_pipeline, "RandomFlip")["prob"]


def test_packaged_tables_tell_their_pictures() -> None:
    """The numbers of pictures are those in the tables' README, and no class is in more of them."""
    text = (ROOT / "trainer/data/frequencies/README.md").read_text()
    told = re.findall(r"^\| `(\w+)` \| \d+ \| (\d+) \|", text, re.MULTILINE)
    assert {name: int(images) for name, images in told} == PACKAGED_IMAGES
    assert set(packaged_names()) == set(PACKAGED_IMAGES)
    assert all(max(packaged_table(name).region) <= images for name, images in PACKAGED_IMAGES.items())
