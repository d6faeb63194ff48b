"""The numbers of the paper's rows are those of mmsegmentation's files, but for the differences listed."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from mmengine.config import Config

from tests.integration.parity.mmseg_files import file_of, model_of
from tests.integration.parity.optimizers import in_steps, rates, settings
from trainer.data.prepare import PreparedData
from trainer.mmseg_adapter.config import render_config
from trainer.mmseg_adapter.model.config import revive
from trainer.mmseg_adapter.parameter_groups import LayerGroups, NamedGroups
from trainer.mmseg_adapter.step.optim_wrapper import StepOptimWrapper
from trainer.spec.data.datasets import DATASETS
from trainer.spec.recipes import Machines, recipes
from trainer.spec.spec import ExperimentSpec, parse_spec

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:torch.meshgrid.*:UserWarning"),  # mmseg's BEiT
    pytest.mark.filterwarnings("ignore:DeprecationWarning.*:UserWarning"),  # what BEiT-L's file names
]
REGISTERED = StepOptimWrapper, LayerGroups, NamedGroups  # what our configs name
QUICK = ("table3/upernet_swin_b", "table7/deeplabv3plus_r50")
LONG = pytest.mark.skipif(
    "RECIPES" not in os.environ, reason="half a minute each: RECIPES=all, as `make campaign` sets it"
)
_BATCH_OF_FILE = 16  # 4xb4, 8xb2, 8xb1 twice: pictures a step


def rendered(spec: ExperimentSpec) -> dict[str, Any]:
    """Our config, with the data that the catalogue describes."""
    classes = DATASETS[spec.dataset.name].classes
    assert classes is not None
    data = PreparedData("/data", "a", "b", classes, 1.0, 20_210, 2000)
    return revive(render_config(spec, data, work_dir="work", loader_workers=0))


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else LONG) for n in recipes()])
def test_numbers(name: str) -> None:
    """Rate and decay of each parameter at every step, crop, sizes, batch and loss weights."""
    recipe = recipes()[name]
    spec = parse_spec({"recipe": name, "variant": "mmseg", "method": "baseline"}, Machines(8, 64))
    ours, file = rendered(spec), file_of(recipe)
    differs = {each["field"] for each in recipe.differences}
    classes = ours["val_evaluator"]["num_classes"]

    wrapper = {**file.optim_wrapper.to_dict(), "type": "OptimWrapper"}
    theirs = model_of(file, spec.schedule.crop_size, classes)
    start = settings(ours["model"], {**ours["optim_wrapper"], "precision": "float32"})
    assert start == settings(theirs, wrapper)

    parts = file.optim_wrapper.get("accumulative_counts", 1)
    schedulers = [dict(one) for one in file.param_scheduler]
    steps = file.train_cfg.max_iters // parts
    if "/schedule/iterations" in differs:
        schedulers[-1]["end"] = spec.schedule.iterations * parts
        steps = spec.schedule.iterations
    assert spec.schedule.iterations == steps
    starts = sorted({rate for rate, _ in start.values()})
    expected = rates(in_steps(schedulers, parts), starts, steps)
    assert np.array_equal(rates(ours["param_scheduler"], starts, steps), expected)

    assert spec.schedule.batch_size == _BATCH_OF_FILE
    assert loss_weights(ours["model"]) == loss_weights(theirs)
    if "/schedule/crop_size" not in differs:
        assert spec.schedule.crop_size == tuple(file.crop_size)
    for field, found, wanted in sizes(spec, file):
        assert (found == wanted) or field in differs, field


def loss_weights(model: dict[str, Any]) -> list[float]:
    """Of all heads, the decode head's first."""
    heads = [model[part] for part in ("decode_head", "auxiliary_head") if part in model]
    flat = [one for head in heads for one in (head if isinstance(head, list | tuple) else [head])]
    return [head["loss_decode"]["loss_weight"] for head in flat]


def sizes(spec: ExperimentSpec, file: Config) -> list[tuple[str, Any, Any]]:
    """(field, ours, the file's) of what is done to pictures."""
    train = {step["type"]: step for step in file.train_pipeline}
    test = {step["type"]: step for step in file.val_dataloader.dataset.pipeline}
    words = spec.augmentation
    return [
        ("/augmentation/resize_base", words.resize_base, tuple(train["RandomResize"]["scale"])),
        ("/augmentation/jitter", words.jitter, tuple(train["RandomResize"]["ratio_range"])),
        ("/augmentation/cat_max_ratio", words.cat_max_ratio, train["RandomCrop"]["cat_max_ratio"]),
        ("/schedule/crop_size", spec.schedule.crop_size, tuple(train["RandomCrop"]["crop_size"])),
        ("/augmentation/flip", words.flip, train["RandomFlip"]["prob"]),
        ("/augmentation/photometric", words.photometric, "PhotoMetricDistortion" in train),
        ("/augmentation/test_size", words.test_size, tuple(test["Resize"]["scale"])),
    ]
