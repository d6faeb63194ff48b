"""Plan → an mmengine Runner with our criterion and hooks, and what is kept of it afterwards."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import mmseg.models  # noqa: F401 - fills mmseg's registries
import torch
from mmengine.config import Config
from mmengine.dist import get_rank, get_world_size
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmseg.registry import MODELS

from trainer.base.errors import ModelError, RegionRebalanceError
from trainer.criterion import Criterion, build_criterion
from trainer.mmseg_adapter.checkpoint import TrainingCheckpoints
from trainer.mmseg_adapter.data import seed_everything
from trainer.mmseg_adapter.head import attach
from trainer.mmseg_adapter.hooks import (
    CheckpointHook,
    EvaluationHook,
    ProgressHook,
    SeedingHook,
    StepHook,
)
from trainer.mmseg_adapter.isolation import quiet_logger
from trainer.mmseg_adapter.mmengine_compat import QuietConfig, QuietRunner
from trainer.mmseg_adapter.model.config import revive
from trainer.mmseg_adapter.model.fit import check_model
from trainer.mmseg_adapter.parameter_groups import NamedGroups  # noqa: F401 - optim_wrapper names it
from trainer.mmseg_adapter.pretrained.load import load_pretrained
from trainer.mmseg_adapter.scoring.loop import LabelLoop, ModeLoop  # noqa: F401 - val_cfg names them
from trainer.mmseg_adapter.scoring.metric import ConfusionMetric  # noqa: F401 - val_evaluator too
from trainer.mmseg_adapter.step.average import begin_average
from trainer.mmseg_adapter.step.loop import StepLoop  # noqa: F401 - train_cfg names it
from trainer.mmseg_adapter.step.optim_wrapper import StepOptimWrapper  # noqa: F401 - optim_wrapper too
from trainer.mmseg_adapter.step.recompute import recompute_blocks
from trainer.plan import Plan, PlannedWeights
from trainer.results.metrics import frequency_groups
from trainer.run.evaluations import Evaluations
from trainer.spec.data.datasets import IGNORE_INDEX
from trainer.spec.own.model import OwnModel
from trainer.storage.notices import add_notice
from trainer.storage.sink import Sink, read_records


def build_model(plan: Plan) -> torch.nn.Module:
    """The plain mmseg model of the plan: initialised from its seed, its backbone from the plan's weights.

    Raises:
        ModelError: the parts of an own model do not fit each other, or it is too large.
        WeightsError: the weights are damaged, or another model's.
    """
    with DefaultScope.overwrite_default_scope("mmseg"):
        quiet_logger(f"{_name(plan)}-build")  # mmengine lists every parameter it initialised
        seed_everything(plan.spec.seed)
        config = revive(plan.config["model"])
        if isinstance(plan.spec.model, OwnModel):
            _check(config, plan, several_workers=plan.spec.resources.workers > 1)
        model: Any = MODELS.build(Config(config))
        model.init_weights()
    assert isinstance(model, torch.nn.Module)
    if plan.weights is not None:
        _begin_with(model, plan, plan.weights)
    return model


def refuse_crops(plan: Plan, error: Exception) -> None:
    """Says so where a model that comes with its parts failed because its crops are too small for them.

    Asked after the failure alone: the parts fit each other, and to look at them takes seconds.

    Raises:
        ModelError: from `error`, which says nothing of the crop.
    """
    if isinstance(error, RegionRebalanceError) or isinstance(plan.spec.model, OwnModel):
        return
    with DefaultScope.overwrite_default_scope("mmseg"):
        try:
            _check(revive(plan.config["model"]), plan)
        except ModelError as found:
            height, width = plan.spec.schedule.crop_size
            got = f"{plan.spec.model.label} cannot be trained on crops of {height}×{width}: {found.problem}"
            raise ModelError("/schedule/crop_size", got) from error


def _check(config: dict[str, Any], plan: Plan, *, several_workers: bool = False) -> None:
    """Refuses a model that cannot train, before any of it takes memory."""
    schedule = plan.spec.schedule
    pictures = schedule.batch_size // schedule.accumulate
    if not plan.spec.resources.gpus_per_worker:  # each normalises by its own
        pictures //= plan.spec.resources.workers
    check_model(config, pictures=pictures, crop_size=schedule.crop_size, several_workers=several_workers)


def _begin_with(model: torch.nn.Module, plan: Plan, weights: PlannedWeights) -> None:
    """Loads pretrained weights; on each rank, for each reads the same file. Rank 0 says what fitted."""
    matched = load_pretrained(model, Path(weights.path), layout=weights.layout, name=weights.name)
    if get_rank() == 0:
        print(matched, flush=True)
        if matched.notice is not None:
            add_notice(plan.attempt_dir, matched.notice)


def build_runner(plan: Plan, sink: Sink, evaluations: Evaluations) -> Runner:
    """A Runner ready to train: the method attached, resuming from the experiment's checkpoints."""
    model = build_model(plan)

    def criterion(feature_channels: int, align_corners: bool) -> Criterion:
        return build_criterion(
            plan.spec.method,
            pixel_counts=plan.frequencies.pixel,
            region_counts=plan.frequencies.region,
            feature_channels=feature_channels,
            ignore_index=IGNORE_INDEX,
            seed=plan.spec.seed,
            align_corners=align_corners,
            class_groups=frequency_groups(plan.frequencies.pixel, plan.spec.evaluation.group_boundaries),
            loss_average=plan.spec.schedule.loss_average,
        )

    schedule = plan.spec.schedule
    attach(model, criterion, schedule.loss_average)
    if schedule.activation_checkpointing:
        recompute_blocks(model)
    if schedule.channels_last:
        _lay_out_channels_last(model)
    checkpoints = TrainingCheckpoints(
        plan.layout.checkpoints(plan.experiment),
        spec_hash=plan.spec_hash,
        keep_last=plan.spec.checkpoints.keep_last,
        continues=plan.spec.continues,
    )
    config = revive(plan.config)
    config.pop("model")
    config["visualizer"] = {"type": "Visualizer", "name": _name(plan), "vis_backends": []}
    distributed = get_world_size() > 1
    runner: Runner = QuietRunner(
        model=model,
        launcher="pytorch" if distributed else "none",
        experiment_name=_name(plan),
        custom_hooks=[
            SeedingHook(plan.spec.seed),
            ProgressHook(plan.log_interval, sink.emit),
            StepHook(sink.emit),
            EvaluationHook(evaluations.add, evaluations.shown.see),
            CheckpointHook(
                checkpoints,
                plan.checkpoint_interval,
                sink.emit,
                partial(_was_evaluated, plan),
                partial(_is_paused, plan),
            ),
        ],
        cfg=QuietConfig({**config, "model_wrapper_cfg": _ddp()} if distributed else config),
        **config,
    )
    if schedule.ema is not None:
        begin_average(runner, schedule.ema)
    return runner


def _lay_out_channels_last(model: Any) -> None:
    """Puts the model's weights into the memory layout `channels_last`."""
    model.to(memory_format=torch.channels_last)


def _ddp() -> dict[str, Any]:
    """The DDP wrapper; on a CPU it must not be given device ids, which mmengine takes from LOCAL_RANK."""
    wrapper: dict[str, Any] = {"type": "MMDistributedDataParallel"}
    return wrapper if torch.cuda.is_available() else {**wrapper, "device_ids": None}


def _was_evaluated(plan: Plan, iteration: int) -> bool:
    """Whether an attempt has told of its evaluation at `iteration`."""
    attempts = [plan.layout.attempt(plan.experiment, number) for number in range(1, plan.attempt + 1)]
    records = (record for each in attempts for record in read_records(each.metrics))
    return any(record["kind"] == "eval" and record["iteration"] == iteration for record in records)


def _is_paused(plan: Plan, iteration: int) -> bool:
    """Whether the training is to pause here; looked for with each record, not at each step."""
    if iteration % plan.log_interval:
        return False
    with suppress(OSError):  # storage that does not answer just now is asked again with the next record
        return plan.layout.pause(plan.experiment).exists()
    return False


def _name(plan: Plan) -> str:
    """Unique, where mmengine's own default is the time in seconds."""
    return f"{plan.experiment}-{plan.attempt}"
