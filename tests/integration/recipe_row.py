"""One row of the paper's tables for real, in a process of its own: one step, one picture, and what it took.

Run as `python -m tests.integration.recipe_row RECIPE ROOT STORAGE`; the last line is JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from trainer.plan import Plan, make_plan
from trainer.spec.recipes import recipes
from trainer.spec.spec import parse_spec
from trainer.storage.layout import Storage
from trainer.storage.sink import NullSink
from trainer.task import Task

CROP = 128  # the smallest side that HRNet's and Swin's deepest stages take without padding


def document(recipe: str, root: Path) -> dict[str, Any]:
    """The row on few real pictures: a small crop, no weights to fetch, one step."""
    return {
        "recipe": recipe,
        "dataset": {"root": str(root)},
        "weights": "none",
        "method": "region_rebalance",
        "schedule": {"iterations": 1, "batch_size": 2, "crop_size": [CROP, CROP], "accumulate": 1},
        "augmentation": {"test_size": [512, 128]},
        "resources": {"gpus_per_worker": 0, "cpus_per_worker": 2},
    }


def main(recipe: str, root: str, storage: str) -> None:
    from trainer.run.worker import train

    spec = parse_spec(document(recipe, Path(root)))
    name = recipe.replace("/", "-")
    task = Task(experiment=name, attempt=1, spec=spec, storage=str(Storage.at(Path(storage)).root))
    plan = make_plan(task, lambda _: None)
    marks: list[tuple[str, float]] = [("begin", time.time())]
    result = train(plan, NullSink(), lambda mark: marks.append((mark, time.time())))
    answer = {
        "recipe": recipe,
        "parameters": result.parameters,
        "mmseg_parameters": mmsegs_parameters(plan),
        "step_seconds": result.train_seconds,
        "eval_seconds": result.eval_seconds,
        "pictures": result.eval_images,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "mIoU": result.evaluation["single_scale"].mIoU,
    }
    print(json.dumps(answer))


def mmsegs_parameters(plan: Plan) -> int:
    """Of the model that mmseg itself builds from its own file, with these classes, and of the crop's size."""
    from mmengine.config import Config
    from mmengine.registry import DefaultScope
    from mmseg.registry import MODELS

    from tests.integration.parity.mmseg_files import file_of, model_of

    file = file_of(recipes()[plan.spec.recipe or ""])
    model = model_of(file, plan.spec.schedule.crop_size, len(plan.data.classes))
    with DefaultScope.overwrite_default_scope("mmseg"):
        built = MODELS.build(Config(model))
    return sum(each.numel() for each in built.parameters())


if __name__ == "__main__":
    main(*sys.argv[1:])
