"""The rendered data pipeline beside mmsegmentation's own file for ADE20K: one folder, the same seeds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import mmseg
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS

from tests.factories import tiny_plan
from trainer.mmseg_adapter.data import seeded_sample
from trainer.mmseg_adapter.model.config import revive

THEIR_FILE = Path(mmseg.__file__).parent / ".mim/configs/_base_/datasets/ade20k.py"
SPLITS = {"train_dataloader": "training", "val_dataloader": "validation"}
SIZES = ((60, 80), (97, 41), (64, 64), (20, 300))  # (height, width); resized, some stay below the crop
CLASSES, SEED = 150, 5


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """JPEGs, and masks of few classes, so that crops are tried again; id 0 is void, and so is 255."""
    root, rng = tmp_path_factory.mktemp("ade"), np.random.default_rng(0)
    for split in SPLITS.values():
        for kind in ("images", "annotations"):
            (root / kind / split).mkdir(parents=True)
        for number, (height, width) in enumerate(SIZES):
            picture = cv2.resize(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8), (width, height))
            ids = rng.choice([0, 1, 2, 150, 255], size=(3, 3), p=[0.1, 0.6, 0.1, 0.1, 0.1]).astype(np.uint8)
            mask = cv2.resize(ids, (width, height), interpolation=cv2.INTER_NEAREST)
            cv2.imwrite(str(root / "images" / split / f"{number}.jpg"), picture)
            cv2.imwrite(str(root / "annotations" / split / f"{number}.png"), mask)
    (root / "classes.txt").write_text("".join(f"class {k}\n" for k in range(CLASSES)))
    return root


@pytest.fixture(scope="module")
def ours(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The config of a spec that asks for mmseg's augmentation of ADE20K."""
    folder = {"name": "folder", "root": str(root), "zero_is_void": True}
    plan = tiny_plan(
        tmp_path_factory.mktemp("storage"),
        dataset={**folder, "train_split": "training", "eval_split": "validation"},
        schedule={"iterations": 4, "batch_size": 4, "crop_size": [512, 512]},
        augmentation={"resize_base": [2048, 512], "test_size": [2048, 512]},
        seed=SEED,
    )
    config: dict[str, Any] = revive(plan.config)
    return config


@pytest.fixture(autouse=True)
def scope() -> Iterator[None]:
    with DefaultScope.overwrite_default_scope("mmseg"):
        yield


@pytest.mark.filterwarnings("ignore:`reduce_zero_label` will be deprecated")
@pytest.mark.parametrize("loader", SPLITS)
def test_samples_are_mmsegs(root: Path, ours: dict[str, Any], loader: str) -> None:
    """Picture, mask and what is noted of them, bit for bit; only how masks were mapped is noted otherwise."""
    dataset = DATASETS.build(ours[loader]["dataset"])
    theirs = DATASETS.build({**Config.fromfile(THEIR_FILE)[loader].dataset, "data_root": str(root)})
    rounds = 6 if loader == "train_dataloader" else 1
    for position in range(rounds * len(SIZES)):
        index = position % len(SIZES)
        with seeded_sample(SEED, position):
            expected = theirs[index]
        found = dataset[position * len(SIZES) + index if rounds > 1 else index]
        assert torch.equal(found["inputs"], expected["inputs"])
        samples = found["data_samples"], expected["data_samples"]
        assert torch.equal(*(sample.gt_sem_seg.data for sample in samples))
        noted, as_theirs = (sample.metainfo for sample in samples)
        assert {**noted, "reduce_zero_label": True} == as_theirs
