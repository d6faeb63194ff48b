"""Pictures a second from one loader process: ours against mmsegmentation's own pipeline, same draws.

Synthetic data of ADE20K's shape: JPEGs of 683×512 with texture, PNG masks of 150 classes and void in regions,
of about as many bytes as ADE20K's own (62 and 7 kB).
mmsegmentation's data set and pipeline come from its own `ade20k.py`, ours from a rendered spec that asks for
the same. Every sample timed is compared first: pictures, masks and what is noted of them must be equal. Then
the two loaders, one process each, take turns; the training process does nothing but receive.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from trainer.data.prepare import PreparedData
from trainer.mmseg_adapter import quiet_imports
from trainer.mmseg_adapter.config import render_config
from trainer.mmseg_adapter.model.config import revive
from trainer.spec.data.label_map import zero_is_void
from trainer.spec.spec import parse_spec

with quiet_imports():
    import mmseg
    from mmengine.config import Config
    from mmengine.dataset import pseudo_collate
    from mmengine.registry import DefaultScope
    from mmseg.registry import DATASETS

    from trainer.mmseg_adapter.data import seeded_sample

HEIGHT, WIDTH, CLASSES, REGIONS = 512, 683, 150, 12
SPLIT, BATCH, SEED, JPEG_QUALITY = "training", 4, 0, 75
THEIR_FILE = Path(mmseg.__file__).parent / ".mim/configs/_base_/datasets/ade20k.py"
TARGET = 1.3


class SameDraws(Dataset[Any]):
    """mmsegmentation's data set, each sample drawn from (seed, position) as ours is."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def __getitem__(self, address: int) -> Any:
        position, index = divmod(address, len(self._dataset))
        with seeded_sample(SEED, position):
            return self._dataset[index]


def write_pictures(root: Path, number: int) -> None:
    """Pairs whose regions are the cells nearest to random points, each of one colour under some texture."""
    rng = np.random.default_rng(SEED)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    for kind in ("images", "annotations"):
        (root / kind / SPLIT).mkdir(parents=True)
    for name in range(number):
        points = rng.uniform((0, 0), (HEIGHT, WIDTH), size=(REGIONS, 2))
        phase, ids = rng.uniform(0, 6, size=2), rng.integers(0, CLASSES + 1, size=REGIONS)
        moved_y, moved_x = y + 6 * np.sin(x / 9 + phase[0]), x + 6 * np.sin(y / 8 + phase[1])
        regions = np.argmin([(moved_y - py) ** 2 + (moved_x - px) ** 2 for py, px in points], axis=0)
        colours = rng.uniform(0, 255, size=(REGIONS, 3))
        coarse = rng.normal(0, 25, size=(HEIGHT // 8, WIDTH // 8, 3)).astype(np.float32)
        texture = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        grain = rng.normal(0, 8, size=(HEIGHT, WIDTH, 3))
        picture = np.clip(colours[regions] + texture + grain, 0, 255).astype(np.uint8)
        quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        cv2.imwrite(str(root / "images" / SPLIT / f"{name:05d}.jpg"), picture, quality)
        cv2.imwrite(str(root / "annotations" / SPLIT / f"{name:05d}.png"), ids[regions].astype(np.uint8))


def our_dataset(root: Path, number: int) -> Any:
    """The training data of a spec with mmsegmentation's augmentation of ADE20K."""
    document = {
        "name": "loader",
        "dataset": {"name": "folder", "root": str(root), "zero_is_void": True},
        "model": "small",
        "method": "baseline",
        "schedule": {"crop_size": [512, 512]},
        "augmentation": {"resize_base": [2048, 512]},
        "seed": SEED,
    }
    data = PreparedData(
        root=str(root),
        train_split=SPLIT,
        eval_split=SPLIT,
        classes=tuple(f"class {k}" for k in range(CLASSES)),
        scale=1.0,
        train_images=number,
        eval_images=number,
        label_map=zero_is_void(CLASSES),
    )
    config = render_config(parse_spec(document), data, work_dir="", loader_workers=1)
    return DATASETS.build(revive(config["train_dataloader"]["dataset"]))


def their_dataset(root: Path) -> Any:
    """The training data of mmsegmentation's own file."""
    config = Config.fromfile(THEIR_FILE).train_dataloader.dataset
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of an argument that its own file gives
        return SameDraws(DATASETS.build({**config, "data_root": str(root)}))


def assert_equal(ours: Any, theirs: Any, addresses: Sequence[int]) -> None:
    """Every sample is the same bit for bit, and so is what is noted of it, but for how labels were mapped."""
    for address in addresses:
        left, right = ours[address], theirs[address]
        masks = [sample["data_samples"].gt_sem_seg.data for sample in (left, right)]
        noted = [
            {
                key: value
                for key, value in sample["data_samples"].metainfo.items()
                if key != "reduce_zero_label"
            }
            for sample in (left, right)
        ]
        same = torch.equal(left["inputs"], right["inputs"]) and torch.equal(*masks) and noted[0] == noted[1]
        assert same, f"sample {address} differs"


def pictures_per_second(dataset: Any, addresses: Sequence[int]) -> float:
    """Of one loader process, from its first batch to its last."""
    loader = DataLoader(
        dataset, batch_size=BATCH, sampler=addresses, num_workers=1, collate_fn=pseudo_collate
    )
    batches = iter(loader)
    next(batches)
    begun = time.perf_counter()
    pictures = sum(len(batch["inputs"]) for batch in batches)
    return pictures / (time.perf_counter() - begun)


def cpu_name() -> str:
    """As Linux calls it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def compare(pictures: int, runs: int) -> dict[str, Any]:
    """Medians over pairs of runs, and of the pairs' ratios."""
    cv2.setNumThreads(0)  # as mmengine's Runner does
    torch.set_num_threads(1)
    addresses = range(3 * pictures)  # each picture thrice, otherwise drawn each time
    rates: dict[str, list[float]] = {"ours": [], "mmseg": []}
    with tempfile.TemporaryDirectory() as directory, DefaultScope.overwrite_default_scope("mmseg"):
        root = Path(directory)
        write_pictures(root, pictures)
        datasets = {"ours": our_dataset(root, pictures), "mmseg": their_dataset(root)}
        assert_equal(datasets["ours"], datasets["mmseg"], addresses)
        for _ in range(runs):
            for name, dataset in datasets.items():
                rates[name].append(pictures_per_second(dataset, addresses))
    return {
        "speed_ratio": round(statistics.median(map(float.__truediv__, rates["ours"], rates["mmseg"])), 3),
        "target": TARGET,
        "pictures_per_second": {name: round(statistics.median(found), 1) for name, found in rates.items()},
        "samples_compared": len(addresses),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    parser.add_argument("--pictures", type=int, default=24)
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    load = round(os.getloadavg()[0], 1)  # of others, before ours
    print(
        json.dumps(
            {
                "benchmark": "loader",
                **compare(options.pictures, options.runs),
                "size": [HEIGHT, WIDTH],
                "runs": options.runs,
                "load_before": load,
                "cpu": cpu_name(),
                "cpus": os.cpu_count(),
                "opencv": cv2.__version__,
                "torch": torch.__version__,
            }
        )
    )


if __name__ == "__main__":
    main()
