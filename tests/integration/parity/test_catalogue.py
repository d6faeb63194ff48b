"""What the catalogue says of mmsegmentation's files trains every parameter as the file itself does."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import mmseg
import numpy as np
import pytest
from mmengine.config import Config

from tests.factories import tiny_spec
from tests.integration.parity.optimizers import in_steps, rates, settings
from tests.integration.parity.test_optimizer import DATA
from trainer.mmseg_adapter.config import render_config
from trainer.mmseg_adapter.model.config import revive
from trainer.spec.catalogue.shipped import ShippedModel, model_config, shipped
from trainer.spec.schedule import Schedule

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:torch.meshgrid.*:UserWarning"),  # mmseg's BEiT
    pytest.mark.filterwarnings(r"ignore::UserWarning:(mmseg|mmcv|mmengine)\..*"),  # said of their own files
]

SAMPLE = 8
LARGEST = 120_000_000  # parameters
# How the notes on what our words cannot say of rates and decays begin.
OTHERWISE = (
    "a scheduler",
    "here the rate",
    "optimiser:",
    "parameter",
    "rates decay",
    "scheduler",
    "the decay begins",
    "the optimiser",
    "the rate",
    "warm-up:",
)


def said_in_full(entry: ShippedModel) -> bool:
    return entry.usable and not any(note.startswith(OTHERWISE) for note in entry.untranslated)


def kind(entry: ShippedModel) -> str:
    """Files of one kind differ in nothing that the optimiser sees but sizes."""
    schedule = {k: v for k, v in entry.schedule.items() if k not in ("crop_size", "batch_size")}
    return json.dumps([entry.name.split("/")[0], entry.backbone, entry.head, schedule])


def chosen() -> list[str]:
    """Of each kind of training one file: a seeded sample of those, or with PARITY=all every one."""
    kinds: dict[str, str] = {}
    for name, entry in shipped().items():
        if said_in_full(entry) and (os.environ.get("PARITY") == "all" or (entry.parameters or 0) < LARGEST):
            kinds.setdefault(kind(entry), name)
    names = sorted(kinds.values())
    # Those with groups of their own first: of plain SGD there is little to go wrong.
    grouped = [n for n in names if {"parameter_groups", "layer_decay"} & set(shipped()[n].schedule)]
    if os.environ.get("PARITY") == "all":
        return names
    draw = random.Random(0)
    return draw.sample(grouped, SAMPLE) + draw.sample([n for n in names if n not in grouped], SAMPLE)


def file_of(name: str) -> Any:
    return Config.fromfile(Path(mmseg.__path__[0]) / ".mim" / "configs" / f"{name}.py")


def file_model(file: Any) -> dict[str, Any]:
    model: dict[str, Any] = file.model.to_dict()
    model["pretrained"] = None
    model["backbone"].pop("init_cfg", None)
    return model


def file_optim_wrapper(file: Any) -> dict[str, Any]:
    """Without mixed precision, which wants a GPU."""
    wrapper = {k: v for k, v in file.optim_wrapper.to_dict().items() if k not in ("loss_scale", "dtype")}
    return {**wrapper, "type": "OptimWrapper"}


@pytest.mark.parametrize("name", chosen())
def test_rates_and_decays(name: str) -> None:
    """Of each parameter at the start, and from each such rate those of every step."""
    entry, file = shipped()[name], file_of(name)
    # Precision has no part in rates, and fp16 wants a GPU.
    schedule = Schedule.model_validate({**entry.schedule, "precision": "float32"})
    spec = tiny_spec().model_copy(update={"schedule": schedule})
    ours = revive(render_config(spec, DATA, work_dir="work", loader_workers=0))
    start = settings(revive(model_config(entry)), ours["optim_wrapper"])
    assert start == settings(file_model(file), file_optim_wrapper(file))
    optimizer = ours["optim_wrapper"]["optimizer"]
    expected_optimizer = file.optim_wrapper.optimizer.to_dict()
    assert optimizer["type"] == expected_optimizer["type"]
    assert optimizer.get("momentum") == expected_optimizer.get("momentum")
    assert tuple(optimizer.get("betas", ())) == tuple(
        expected_optimizer.get("betas", optimizer.get("betas", ()))
    )
    parts = schedule.accumulate
    scheduled = file.param_scheduler
    schedulers = [dict(one) for one in (scheduled if isinstance(scheduled, list) else [scheduled])]
    schedulers[-1]["end"] = file.train_cfg.max_iters  # two files end it before their last iteration
    steps = file.train_cfg.max_iters // parts
    assert steps == schedule.iterations
    starts = sorted({rate for rate, _ in start.values()})
    expected = rates(in_steps(schedulers, parts), starts, steps)
    assert np.array_equal(rates(ours["param_scheduler"], starts, steps), expected)
