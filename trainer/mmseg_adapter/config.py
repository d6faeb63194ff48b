"""Spec, data and recipe → one mmengine config as plain data, nothing left to inherit or look up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from trainer.data.listing import MASK_SUFFIX
from trainer.data.prepare import PreparedData, SplitFiles
from trainer.mmseg_adapter.model.config import network_of, render_model
from trainer.mmseg_adapter.way import TestWay, is_plain, way_of, written
from trainer.spec.augmentation import Augmentation
from trainer.spec.data.datasets import DATASETS, IGNORE_INDEX
from trainer.spec.evaluation import Mode
from trainer.spec.longer.continues import stretch
from trainer.spec.schedule import Schedule
from trainer.spec.spec import ExperimentSpec

_BATCHES_AHEAD = 4  # of each loader process: some pictures take longer than others


def render_config(
    spec: ExperimentSpec, data: PreparedData, *, work_dir: str, loader_workers: int
) -> dict[str, Any]:
    """The mmengine Runner's config of `spec`: JSON types only, the same on every rank."""
    schedule = spec.schedule
    config = {
        "default_scope": "mmseg",
        "work_dir": work_dir,
        "model": render_model(network_of(spec), spec, num_classes=len(data.classes)),
        "train_dataloader": _train_loader(spec, data, loader_workers),
        "val_dataloader": _eval_loader(spec, data, loader_workers),
        "train_cfg": {
            "type": "StepLoop",
            "accumulate": schedule.accumulate,
            "channels_last": schedule.channels_last,
            "max_iters": schedule.iterations,
            "val_interval": spec.evaluation_interval,
        },
        "val_cfg": _eval_loop(spec),
        "val_evaluator": {
            "type": "ConfusionMetric",
            "num_classes": len(data.classes),
            "ignore_index": IGNORE_INDEX,
        },
        "optim_wrapper": _optim_wrapper(spec),
        "param_scheduler": _param_scheduler(spec),
        "default_hooks": {
            "logger": None,
            "checkpoint": None,
            "sampler_seed": None,
            "runtime_info": {"type": "RuntimeInfoHook"},
            "timer": {"type": "IterTimerHook"},
            "param_scheduler": {"type": "ParamSchedulerHook"},
        },
        "randomness": {"seed": spec.seed},
        "env_cfg": {},
        "log_level": "ERROR",
    }
    plain: dict[str, Any] = json.loads(json.dumps(config))
    return plain


def _train_loader(spec: ExperimentSpec, data: PreparedData, loader_workers: int) -> dict[str, Any]:
    batch_size = spec.schedule.batch_size
    return {
        "batch_size": batch_size // spec.resources.workers,
        **_processes(loader_workers, pinned=spec.resources.gpus_per_worker > 0),
        "sampler": {"type": "PositionSampler", "global_batch_size": batch_size, "seed": spec.seed},
        "dataset": {
            **_files(data.files(data.train_split)),
            "seed": spec.seed,
            "pipeline": _train_pipeline(spec, data),
        },
    }


def _eval_loop(spec: ExperimentSpec) -> dict[str, Any]:
    """The loop that scores in the first mode."""
    mode = spec.evaluation.first
    return {"type": "LabelLoop"} if is_plain(mode) else {"type": "ModeLoop", **written(mode, way_of(spec))}


def _eval_loader(spec: ExperimentSpec, data: PreparedData, loader_workers: int) -> dict[str, Any]:
    """What the loop of `_eval_loop` reads."""
    pinned, mode = spec.resources.gpus_per_worker > 0, spec.evaluation.first
    files = data.files(data.eval_split)
    if not is_plain(mode):
        return views_loader(files, (mode,), way_of(spec), loader_workers=loader_workers, pinned=pinned)
    return {
        "batch_size": _eval_batch_size(spec),
        **_processes(loader_workers, pinned=pinned),
        **_each_once(files, _eval_pipeline(spec.augmentation, data)),
    }


def views_loader(
    files: SplitFiles, modes: Sequence[Mode], way: TestWay, *, loader_workers: int, pinned: bool
) -> dict[str, Any]:
    """A loader of a split's pictures, one at a time, each in all views of the modes."""
    plain = [written(mode, way) for mode in modes]
    pack = {"type": "PackViews", "modes": [one["mode"] for one in plain], "way": plain[0]["way"]}
    return {
        "batch_size": 1,
        **_processes(loader_workers, pinned=pinned),
        **_each_once(files, [{"type": "LoadImageFromFile"}, *_load_labels(files), pack]),
    }


def _each_once(files: SplitFiles, pipeline: list[dict[str, Any]]) -> dict[str, Any]:
    """Sampler and data set of a loader that reads every picture of a split once, over all ranks."""
    return {
        # No padding of the last round: a padded picture would be counted twice.
        "sampler": {"type": "DefaultSampler", "shuffle": False, "round_up": False},
        "dataset": {**_files(files), "test_mode": True, "pipeline": pipeline},
    }


def _files(files: SplitFiles) -> dict[str, Any]:
    """Where a split's files are; what is as in a folder of one's own is not said."""
    found = {"type": "PairedFolder", "data_root": files.root, "split": files.split, "classes": files.classes}
    named = {} if files.mask_ending == MASK_SUFFIX else {"mask_ending": files.mask_ending}
    coloured = {} if files.palette is None else {"palette": files.palette}
    return {**found, **named, **coloured}


def _processes(loader_workers: int, *, pinned: bool) -> dict[str, Any]:
    """How batches come to the training process; pinned memory is what a GPU copies from without a detour."""
    ahead = {"persistent_workers": True, "prefetch_factor": _BATCHES_AHEAD} if loader_workers else {}
    return {"num_workers": loader_workers, "pin_memory": pinned, **ahead}


def _train_pipeline(spec: ExperimentSpec, data: PreparedData) -> list[dict[str, Any]]:
    words = spec.augmentation
    shift = {"type": "ShiftPicture", "max_shift": words.max_shift, "seg_pad_val": IGNORE_INDEX}
    crop = {
        "type": "FastRandomCrop",
        "crop_size": spec.schedule.crop_size,
        "cat_max_ratio": words.cat_max_ratio,
    }
    return [
        {"type": "LoadImageFromFile"},
        *_load_labels(data),
        *([shift] if words.max_shift else []),
        *_resize(words, data),
        crop,
        *([{"type": "FastRandomFlip", "prob": words.flip}] if words.flip else []),
        *([{"type": "FastPhotoMetricDistortion"}] if words.photometric else []),
        {"type": "FastPackSegInputs"},
    ]


def _resize(words: Augmentation, data: PreparedData) -> list[dict[str, Any]]:
    """Scale and jitter of a training picture; nothing where neither changes it."""
    if isinstance(words.resize_base, tuple):
        base = {"scale": words.resize_base, "ratio_range": words.jitter, "keep_ratio": True}
        return [{"type": "RandomResize", **base}]
    if data.scale == 1 and set(words.jitter) == {1.0}:
        return []
    return [{"type": "ScalePicture", "scale": data.scale, "jitter": words.jitter}]


def _eval_pipeline(words: Augmentation, data: PreparedData) -> list[dict[str, Any]]:
    # Masks are loaded after the picture is resized: scores are taken at their full size.
    resize: list[dict[str, Any]] = []
    if isinstance(words.test_size, tuple):
        resize = [{"type": "Resize", "scale": words.test_size, "keep_ratio": True}]
    elif data.scale != 1:
        resize = [{"type": "ScalePicture", "scale": data.scale}]
    return [{"type": "LoadImageFromFile"}, *resize, *_load_labels(data), {"type": "FastPackSegInputs"}]


def _load_labels(data: PreparedData | SplitFiles) -> list[dict[str, Any]]:
    """Masks as classes and void, and nothing else in them."""
    mapped = {"type": "MapLabels", "num_classes": len(data.classes), "label_map": data.label_map}
    return [{"type": "LoadAnnotations"}, mapped]


def _eval_batch_size(spec: ExperimentSpec) -> int:
    """Pictures share a batch only where all are known to have one size."""
    return 20 if DATASETS[spec.dataset.name].picture_size else 1


def _optim_wrapper(spec: ExperimentSpec) -> dict[str, Any]:
    schedule = spec.schedule
    skip = 0 if schedule.on_nonfinite == "stop" else schedule.on_nonfinite.skip
    words = {"clip_gradient_norm": schedule.clip_gradient_norm, "most_skipped": skip}
    # A fused optimiser can leave a step out without the host's help.
    fused = {"fused": True} if spec.resources.gpus_per_worker else {}
    return {
        "type": "StepOptimWrapper",
        "optimizer": {**_optimizer(schedule), **fused},
        "precision": schedule.precision,
        **{name: value for name, value in words.items() if value},
        **_parameter_groups(schedule),
    }


def _optimizer(schedule: Schedule) -> dict[str, Any]:
    common = {"lr": schedule.learning_rate, "weight_decay": schedule.weight_decay}
    if schedule.optimizer == "sgd":
        return {"type": "SGD", "momentum": schedule.momentum, **common}
    return {"type": "AdamW", "betas": schedule.betas or (schedule.momentum, 0.999), **common}


def _parameter_groups(schedule: Schedule) -> dict[str, Any]:
    """How the optimiser's groups are made; nothing where all parameters are treated alike."""
    if schedule.layer_decay is not None:
        by_layer = {"decay_rate": schedule.layer_decay, "decay_type": "layer_wise"}
        return {"constructor": "LayerGroups", "paramwise_cfg": by_layer}
    named = {
        group.match: {"lr_mult": group.learning_rate, "decay_mult": group.weight_decay}
        for group in schedule.parameter_groups
    }
    words = {"norms": "norm_decay_mult", "biases": "bias_decay_mult"}
    options: dict[str, Any] = {words[word]: 0.0 for word in schedule.no_weight_decay}
    if named:
        options["custom_keys"] = named
    return {"constructor": "NamedGroups", "paramwise_cfg": options} if options else {}


def _param_scheduler(spec: ExperimentSpec) -> list[dict[str, Any]]:
    """Linear warm-up, then polynomial decay to the lowest rate at the last iteration; or one rate."""
    schedule, continues = spec.schedule, spec.continues
    if continues is not None and continues.held is not None:
        return [{"type": "ConstantLR", "factor": continues.held, "by_epoch": False}]
    begin, warmup_end = stretch(schedule, continues)
    decay = {
        "type": "PolyLR",
        "eta_min": schedule.min_learning_rate,
        "power": schedule.power,
        "begin": warmup_end,
        "end": schedule.iterations,
        "by_epoch": False,
    }
    if warmup_end == begin:
        return [decay]
    ramp = {
        "type": "LinearLR",
        "start_factor": schedule.warmup_factor,
        "begin": begin,
        "end": warmup_end,
        "by_epoch": False,
    }
    return [ramp, decay]
