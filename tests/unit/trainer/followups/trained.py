"""Two tiny experiments on one folder data set, trained in this process, as their jobs leave them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from tests.factories import ListSink, tiny_plan
from trainer.plan import Plan
from trainer.run.worker import train

CLASSES = ("sky", "road", "car")
SIZE = (48, 64)  # height, width


def write_data(
    root: Path, *, splits: dict[str, int] | None = None, classes: tuple[str, ...] = CLASSES
) -> Path:
    """Pictures of coloured blocks, each class with a colour of its own; the last column is void."""
    colours = np.array([(90, 160, 240), (90, 90, 90), (200, 40, 40)], np.uint8)
    for split, number in (splits or {"train": 4, "val": 3}).items():
        for part in ("images", "annotations"):
            (root / part / split).mkdir(parents=True, exist_ok=True)
        for each in range(number):
            seed = hashlib.sha256(f"{split}{each}".encode()).digest()[0]
            blocks = np.random.default_rng(seed).integers(0, 3, (3, 4))
            labels = blocks.repeat(16, axis=0).repeat(16, axis=1).astype(np.uint8)
            Image.fromarray(colours[labels]).save(root / "images" / split / f"p{each}.png")
            labels[:, -1] = 255
            Image.fromarray(labels).save(root / "annotations" / split / f"p{each}.png")
    (root / "classes.txt").write_text("\n".join(classes) + "\n")
    return root


def trained(storage: Path, root: Path, experiment: str, **overrides: object) -> Plan:
    """An experiment with plan, spec and final.pth in storage."""
    schedule = {"iterations": 6, "batch_size": 4, "learning_rate": 0.05, "crop_size": [32, 32]}
    document = {"dataset": {"name": "folder", "root": str(root)}, "schedule": schedule, **overrides}
    plan = tiny_plan(storage, experiment=experiment, **document)
    plan.attempt_dir.plan.write(plan.model_dump_json())
    plan.attempt_dir.spec.write(plan.spec.model_dump_json())
    train(plan, ListSink())
    return plan
