"""Spec, data and recipe → one mmengine config as plain data, nothing left to inherit or look up."""

from __future__ import annotations

import json
from typing import Any

from trainer.data.prepare import PreparedData
from trainer.spec.datasets import DATASETS, IGNORE_INDEX
from trainer.spec.models import RECIPES
from trainer.spec.spec import ExperimentSpec, Schedule

# ImageNet statistics, RGB, as every recipe of mmsegmentation has them.
_MEAN = (123.675, 116.28, 103.53)
_STD = (58.395, 57.12, 57.375)
_SCALE_JITTER = (0.5, 2.0)  # arXiv 2204.01969, Sec. 4.2
_MAX_SHIFT = 6  # pixels, for pictures that must be neither flipped nor zoomed
_CROP_MAX_SHARE = 0.75  # mmsegmentation's default: no class fills more of a crop if ten tries can help it


def render_config(
    spec: ExperimentSpec, data: PreparedData, *, work_dir: str, loader_workers: int
) -> dict[str, Any]:
    """The mmengine Runner's config of `spec`: JSON types only, the same on every rank."""
    schedule = spec.schedule
    config = {
        "default_scope": "mmseg",
        "work_dir": work_dir,
        "model": _model(spec, num_classes=len(data.classes)),
        "train_dataloader": _train_loader(spec, data, loader_workers),
        "val_dataloader": _eval_loader(spec, data),
        "train_cfg": {
            "type": "IterBasedTrainLoop",
            "max_iters": schedule.iterations,
            "val_interval": spec.evaluation.interval or schedule.iterations,
        },
        "val_cfg": {"type": "LabelLoop"},
        "val_evaluator": {
            "type": "ConfusionMetric",
            "num_classes": len(data.classes),
            "ignore_index": IGNORE_INDEX,
        },
        "optim_wrapper": {"type": "GuardedOptimWrapper", "optimizer": _optimizer(schedule)},
        "param_scheduler": _param_scheduler(schedule),
        "default_hooks": {
            "logger": None,
            "checkpoint": None,
            "sampler_seed": None,
            "runtime_info": {"type": "RuntimeInfoHook"},
            "timer": {"type": "IterTimerHook"},
            "param_scheduler": {"type": "ParamSchedulerHook"},
        },
        "randomness": {"seed": spec.seed, "deterministic": False},
        "env_cfg": {"cudnn_benchmark": False},
        "log_level": "ERROR",
    }
    plain: dict[str, Any] = json.loads(json.dumps(config))
    return plain


def _train_loader(spec: ExperimentSpec, data: PreparedData, loader_workers: int) -> dict[str, Any]:
    batch_size = spec.schedule.batch_size
    return {
        "batch_size": batch_size // spec.resources.workers,
        "num_workers": loader_workers,
        "persistent_workers": loader_workers > 0,
        "sampler": {"type": "PositionSampler", "global_batch_size": batch_size, "seed": spec.seed},
        "dataset": {
            "type": "PairedFolder",
            "data_root": data.root,
            "split": data.train_split,
            "classes": data.classes,
            "seed": spec.seed,
            "pipeline": _train_pipeline(spec.schedule, data),
        },
    }


def _eval_loader(spec: ExperimentSpec, data: PreparedData) -> dict[str, Any]:
    return {
        "batch_size": _eval_batch_size(spec),
        "num_workers": 0,
        # No padding of the last round: a padded picture would be counted twice.
        "sampler": {"type": "DefaultSampler", "shuffle": False, "round_up": False},
        "dataset": {
            "type": "PairedFolder",
            "data_root": data.root,
            "split": data.eval_split,
            "classes": data.classes,
            "test_mode": True,
            "pipeline": _eval_pipeline(data),
        },
    }


def revive(value: Any) -> Any:
    """The rendered config as mmengine wants it: mmcv insists on tuples where JSON has lists of integers."""
    if isinstance(value, dict):
        return {key: revive(item) for key, item in value.items()}
    if isinstance(value, list):
        items = [revive(item) for item in value]
        return tuple(items) if items and all(type(item) is int for item in items) else items
    return value


def _model(spec: ExperimentSpec, *, num_classes: int) -> dict[str, Any]:
    model = json.loads(json.dumps(dict(RECIPES[spec.model.name].model)))
    # SyncBN does not run on a CPU: there each worker normalises by its own part of the batch.
    norm = {"type": "SyncBN" if spec.resources.gpus_per_worker else "BN", "requires_grad": True}
    model["backbone"]["norm_cfg"] = norm
    for name in ("decode_head", "auxiliary_head"):
        for head in _as_list(model.get(name)):
            head |= {"num_classes": num_classes, "norm_cfg": norm, "ignore_index": IGNORE_INDEX}
            head.setdefault(
                "loss_decode",
                {
                    "type": "CrossEntropyLoss",
                    "use_sigmoid": False,
                    "loss_weight": 1.0,
                    "avg_non_ignore": True,
                },
            )
    model["data_preprocessor"] = {
        "type": "SegDataPreProcessor",
        "mean": _MEAN,
        "std": _STD,
        "bgr_to_rgb": True,
        "pad_val": 0,
        "seg_pad_val": IGNORE_INDEX,
        "size": spec.schedule.crop_size,
    }
    model["train_cfg"] = {}
    model["test_cfg"] = {"mode": "whole"}
    return dict(model)


def _as_list(value: Any) -> list[dict[str, Any]]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _train_pipeline(schedule: Schedule, data: PreparedData) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = [{"type": "LoadImageFromFile"}, *_load_labels(data)]
    if data.flip:
        steps += [
            {"type": "ScalePicture", "scale": data.scale, "jitter": _SCALE_JITTER},
            {"type": "RandomCrop", "crop_size": schedule.crop_size, "cat_max_ratio": _CROP_MAX_SHARE},
            {"type": "RandomFlip", "prob": 0.5},
        ]
    else:
        steps += [
            {"type": "ShiftPicture", "max_shift": _MAX_SHIFT, "seg_pad_val": IGNORE_INDEX},
            {"type": "RandomCrop", "crop_size": schedule.crop_size, "cat_max_ratio": 1.0},
        ]
    return [*steps, {"type": "PhotoMetricDistortion"}, {"type": "PackSegInputs"}]


def _eval_pipeline(data: PreparedData) -> list[dict[str, Any]]:
    # Masks are loaded after the picture is shrunk: scores are taken at their full size.
    shrink = [{"type": "ScalePicture", "scale": data.scale}] if data.scale != 1 else []
    return [
        {"type": "LoadImageFromFile"},
        *shrink,
        *_load_labels(data),
        {"type": "PackSegInputs"},
    ]


def _load_labels(data: PreparedData) -> list[dict[str, Any]]:
    """Masks as classes and void; ids that are stored so need no step."""
    load = {"type": "LoadAnnotations"}
    return [load] if data.label_map is None else [load, {"type": "MapLabels", "label_map": data.label_map}]


def _eval_batch_size(spec: ExperimentSpec) -> int:
    """Pictures share a batch only where all are known to have one size."""
    return 20 if DATASETS[spec.dataset.name].picture_size else 1


def _optimizer(schedule: Schedule) -> dict[str, Any]:
    common = {"lr": schedule.learning_rate, "weight_decay": schedule.weight_decay}
    if schedule.optimizer == "sgd":
        return {"type": "SGD", "momentum": schedule.momentum, **common}
    return {"type": "AdamW", "betas": [schedule.momentum, 0.999], **common}


def _param_scheduler(schedule: Schedule) -> list[dict[str, Any]]:
    """Linear warm-up, then polynomial decay to nothing at the last iteration."""
    warmup = min(schedule.warmup_iterations, schedule.iterations - 1)
    decay = {
        "type": "PolyLR",
        "eta_min": 0.0,
        "power": schedule.power,
        "begin": warmup,
        "end": schedule.iterations,
        "by_epoch": False,
    }
    if not warmup:
        return [decay]
    ramp = {"type": "LinearLR", "start_factor": 1e-2, "begin": 0, "end": warmup, "by_epoch": False}
    return [ramp, decay]
