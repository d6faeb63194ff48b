"""The rendered config: golden, plain data, and what it does with the spec."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.factories import tiny_document
from tests.paths import GOLDEN
from trainer.data.prepare import PreparedData
from trainer.mmseg_adapter.config import render_config
from trainer.mmseg_adapter.model.config import revive
from trainer.spec.spec import parse_spec

DIGITS = PreparedData(
    root="/data/scenes",
    train_split="train",
    eval_split="val",
    classes=("background", "digit 0"),
    scale=1.0,
    train_images=50,
    eval_images=50,
)
STREET = PreparedData(
    root="/data/camvid",
    train_split="train",
    eval_split="test",
    classes=("Sky", "Building", "Pole"),
    scale=0.5,
    train_images=367,
    eval_images=233,
)


def render(data: PreparedData, **overrides: Any) -> dict[str, Any]:
    spec = parse_spec(tiny_document(**overrides))
    return render_config(spec, data, work_dir="/runs/e1/1/mmengine", loader_workers=0)


@pytest.mark.parametrize(
    ("name", "data", "overrides"),
    [
        ("config_small_digit_scenes", DIGITS, {"schedule": {}}),
        ("config_small_camvid", STREET, {"dataset": {"name": "camvid"}, "schedule": {}}),
    ],
)
def test_golden(name: str, data: PreparedData, overrides: dict[str, Any]) -> None:
    """A change of the rendered config is seen in review. UPDATE_GOLDEN=1 rewrites the file."""
    rendered = json.dumps(render(data, **overrides), indent=1) + "\n"
    path = GOLDEN / f"{name}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(rendered)
    assert path.read_text() == rendered


def test_plain_data() -> None:
    """The config survives JSON unchanged."""
    config = render(DIGITS)
    assert json.loads(json.dumps(config)) == config


def test_revive_makes_tuples_of_integers_only() -> None:
    """mmcv wants tuples for sizes; lists of numbers, names and steps stay lists."""
    plain = {"size": [64, 64], "mean": [1.5, 2.0], "steps": [{"crop": [1, 2]}], "flags": [True], "none": []}
    expected = {
        "size": (64, 64),
        "mean": [1.5, 2.0],
        "steps": [{"crop": (1, 2)}],
        "flags": [True],
        "none": [],
    }
    assert revive(plain) == expected


def test_batch_is_global() -> None:
    """Each of two workers takes half of the batch."""
    config = render(DIGITS, schedule={"iterations": 4, "batch_size": 6}, resources={"workers": 2})
    assert config["train_dataloader"]["batch_size"] == 3
    assert config["train_dataloader"]["sampler"]["global_batch_size"] == 6


def test_warm_up_never_outlasts_the_run() -> None:
    """A run shorter than its warm-up still decays to zero at its end."""
    ramp, decay = render(DIGITS, schedule={"iterations": 10})["param_scheduler"]
    assert (ramp["end"], decay["begin"], decay["end"]) == (9, 9, 10)
    (only,) = render(DIGITS, schedule={"iterations": 1})["param_scheduler"]
    assert only["type"] == "PolyLR"


def test_sync_bn_needs_gpus() -> None:
    """SyncBN where there are GPUs, BN on the CPU, where SyncBN does not run."""
    on_gpu = render(DIGITS, resources={"gpus_per_worker": 1})
    assert on_gpu["model"]["backbone"]["norm_cfg"]["type"] == "SyncBN"
    assert render(DIGITS)["model"]["decode_head"]["norm_cfg"]["type"] == "BN"


def test_gpus_have_loader_processes_and_pinned_memory() -> None:
    """Where there are loader processes they live on between epochs and evaluations, and load ahead."""
    spec = parse_spec(tiny_document(resources={"gpus_per_worker": 1, "cpus_per_worker": 4}))
    config = render_config(spec, DIGITS, work_dir="/runs/e1/1/mmengine", loader_workers=3)
    ahead = {"num_workers": 3, "pin_memory": True, "persistent_workers": True, "prefetch_factor": 4}
    for loader in ("train_dataloader", "val_dataloader"):
        assert ahead.items() <= config[loader].items()
        assert not render(DIGITS)[loader]["pin_memory"]
