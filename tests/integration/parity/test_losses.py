"""Twenty steps beside mmsegmentation's own runner, built from its own file: the same losses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from PIL import Image

from tests.factories import ListSink
from tests.integration.parity.mmseg_files import TRAINED, mmseg_file, model_config, schedule
from trainer.mmseg_adapter.head import deployable_state
from trainer.mmseg_adapter.hooks import SeedingHook
from trainer.mmseg_adapter.isolation import forget_run
from trainer.mmseg_adapter.model.config import render_model, revive
from trainer.plan import Plan, make_plan
from trainer.run.runner import Evaluations, build_runner
from trainer.spec.networks import Network
from trainer.spec.spec import parse_spec
from trainer.storage.layout import Storage
from trainer.task import Task

# One thread: on a busy machine several wait for each other.
pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("one_thread")]

STEPS, TOLERANCE = 20, 1e-5
CROP, CLASSES = (64, 64), 150
# A cascade with an auxiliary loss; the others are of `make campaign`.
QUICK = ("ocrnet_hr18",)
LONG = pytest.mark.skipif(
    "PARITY" not in os.environ, reason="another minute each: PARITY=all, as `make campaign` sets it"
)

Losses = list[dict[str, float]]  # of each step, by name


class Stop(Exception):
    """Ends a run after its last step that is looked at."""


class Watch(Hook):
    """Puts weights in place of those that mmseg's runner has drawn, and keeps the losses of its steps."""

    def __init__(self, weights: dict[str, torch.Tensor]) -> None:
        self.losses: Losses = []
        self._weights = weights

    def before_train(self, runner: Any) -> None:
        runner.model.load_state_dict(self._weights, strict=True)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        del runner, batch_idx, data_batch
        losses = {name: value.item() for name, value in outputs.items() if "loss" in name}
        self.losses.append({name.replace("decode.", ""): value for name, value in losses.items()})


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight pictures of noise in large patches, with labels that follow their colours and some void."""
    root = tmp_path_factory.mktemp("patches")
    draw = np.random.default_rng(0)
    for split in ("train", "val"):
        for part in ("images", "annotations"):
            (root / part / split).mkdir(parents=True)
        for number in range(8):
            labels = draw.integers(0, CLASSES, (5, 6)).repeat(16, 0).repeat(16, 1).astype(np.uint8)
            colours = np.stack([labels, 255 - labels, labels // 2], axis=-1) + draw.integers(
                0, 40, (80, 96, 3)
            )
            labels[:9, : 5 * number] = 255
            Image.fromarray(colours.clip(0, 255).astype(np.uint8)).save(
                root / "images" / split / f"p{number}.png"
            )
            Image.fromarray(labels).save(root / "annotations" / split / f"p{number}.png")
    (root / "classes.txt").write_text("".join(f"class {k}\n" for k in range(CLASSES)), encoding="utf-8")
    return root


def make(name: str, root: Path, storage: Path) -> Plan:
    """The plan of the file's run on our pictures, crops of 64×64, two at a time."""
    words = schedule(name, batch_size=2, crop_size=CROP).model_dump(mode="json")
    document = {
        "dataset": {"name": "folder", "root": str(root)},
        "model": "small",
        "method": "baseline",
        "schedule": words,
        "seed": 1,
    }
    task = Task(experiment=name, attempt=1, spec=parse_spec(document), storage=str(Storage.at(storage).root))
    plan = make_plan(task, lambda _: None)
    model = render_model(Network(model_config(name)), plan.spec, num_classes=CLASSES)
    return plan.model_copy(update={"config": {**plan.config, "model": model}, "log_interval": 1})


def mmsegs_runner(name: str, plan: Plan, watch: Watch) -> Runner:
    """mmseg's runner from its file, but for the pictures, the crop, and SyncBN, which needs GPUs."""
    file = mmseg_file(name)
    model = _on_cpu(model_config(name))
    model["data_preprocessor"]["size"] = CROP
    return Runner(
        model=model,
        work_dir=str(plan.attempt_dir.path / "mmseg"),
        train_dataloader=revive(plan.config["train_dataloader"]),
        train_cfg={"type": "IterBasedTrainLoop", "max_iters": STEPS},
        optim_wrapper=file.optim_wrapper,
        param_scheduler=file.param_scheduler,
        default_hooks={"logger": None, "checkpoint": None, "sampler_seed": None},
        custom_hooks=[SeedingHook(plan.spec.seed), watch],
        default_scope="mmseg",
        log_level="ERROR",
        experiment_name=f"{name}-mmseg",
    )


def _on_cpu(value: Any) -> Any:
    if isinstance(value, dict):
        plain = {key: _on_cpu(item) for key, item in value.items()}
        return {**plain, "type": "BN"} if plain.get("type") == "SyncBN" else plain
    return type(value)(_on_cpu(item) for item in value) if isinstance(value, list | tuple) else value


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [LONG]) for name in TRAINED]
)
def test_losses_of_twenty_steps(name: str, pictures: Path, tmp_path: Path) -> None:
    """From the same weights, fed the same batches, every loss of every step is mmseg's within 1e-5 of it."""
    plan = make(name, pictures, tmp_path)
    sink = ListSink(at=STEPS, error=Stop())
    runner = build_runner(plan, sink, Evaluations(plan, sink))
    watch = Watch({key: value.clone() for key, value in deployable_state(runner.model).items()})
    with pytest.raises(Stop):
        runner.train()
    forget_run(runner)
    theirs = mmsegs_runner(name, plan, watch)
    theirs.train()
    forget_run(theirs)
    steps = [record for record in sink.records if record["kind"] == "train"]
    assert len(steps) == len(watch.losses) == STEPS
    for ours, expected in zip(steps, watch.losses, strict=True):
        named = {key.replace("loss_pixel", "loss_ce"): value for key, value in ours.items() if "loss" in key}
        assert named == pytest.approx(expected, rel=TOLERANCE)
