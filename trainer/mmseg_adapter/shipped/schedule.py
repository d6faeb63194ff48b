"""A config file's optimiser, rates and batch in the words of `trainer/spec/schedule.py`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.mmseg_adapter.shipped.files import head_list
from trainer.mmseg_adapter.shipped.rates import rate_words

Words = dict[str, Any]

_GPUS_BY_PICTURES = re.compile(r"(?<![0-9a-z])(\d+)xb?(\d{1,2})(?![0-9])")
_USUAL_GPUS = 4
_MOST_GROUPS = 100  # as `Schedule` allows
# What torch takes where a file says nothing.
_DEFAULT_DECAY = {"SGD": 0.0, "Adam": 0.0, "AdamW": 0.01}
_ALIKE = {"SGD": "sgd", "Adam": "adamw", "AdamW": "adamw"}


def schedule_words(
    name: str, config: Mapping[str, Any], trained: Sequence[str] | None, num_layers: int | None
) -> tuple[Words, list[str]]:
    """All fields of a schedule but the crop, and what of the file they do not say.

    Args:
        name: the file's, which says on how many GPUs it was run.
        config: the file.
        trained: names of the model's trained parameters; None where it cannot be built.
        num_layers: of the backbone, where `layer_decay` counts them.
    """
    notes: list[str] = []
    wrapper: Mapping[str, Any] = config.get("optim_wrapper") or {}
    parts = int(wrapper.get("accumulative_counts", 1))
    loop: Mapping[str, Any] = config.get("train_cfg") or {}
    micro = loop.get("max_iters")
    if micro is None:
        micro = 160_000
        notes.append(f"the file counts epochs ({loop.get('max_epochs')}); {micro} iterations stand here")
    of_old = (config.get("runner") or {}).get("max_iters", micro)
    if of_old != micro:
        notes.append(f"`runner`, a word of mmsegmentation 0.x, says {of_old} iterations and changes nothing")
    words: Words = {"iterations": micro // parts, "batch_size": batch_size(name, config, parts, notes)}
    words |= _optimizer(wrapper.get("optimizer") or {}, notes)
    words |= rate_words(config.get("param_scheduler"), micro, parts, words["learning_rate"], notes)
    words |= _groups(wrapper, trained, num_layers, notes)
    words |= _wrapper_words(wrapper, config, notes)
    if parts > 1:
        words["accumulate"] = parts
    words["loss_average"] = _loss_average(config["model"])
    return words, notes


def batch_size(name: str, config: Mapping[str, Any], parts: int, notes: list[str]) -> int:
    """Pictures of one step over all GPUs, parts of a step included; how it was found goes to `notes`."""
    loaded = int((config.get("train_dataloader") or {}).get("batch_size") or 1)
    found = _GPUS_BY_PICTURES.search(name.rsplit("/", 1)[-1])
    of_parts = f" x {parts} parts" if parts > 1 else ""
    if not found:
        notes.append(
            f"batch size: {_USUAL_GPUS} GPUs, which the name does not say, x {loaded} of the loader{of_parts}"
        )
        return _USUAL_GPUS * loaded * parts
    gpus, pictures = int(found[1]), int(found[2])
    unlike = "" if pictures == loaded else f" (its loader takes {loaded})"
    of_gpus = f"{gpus} GPU{'s' if gpus > 1 else ''}"
    notes.append(f"batch size: {of_gpus} x {pictures} of the file's name{of_parts}{unlike}")
    return gpus * pictures * parts


def _optimizer(said: Mapping[str, Any], notes: list[str]) -> Words:
    options = dict(said)
    kind = options.pop("type", "SGD")
    words: Words = {
        "optimizer": _ALIKE.get(kind, "adamw"),
        "learning_rate": float(options.pop("lr", 0.01)),
        "weight_decay": float(options.pop("weight_decay", _DEFAULT_DECAY.get(kind, 0.0))),
    }
    if words["optimizer"] == "sgd":
        words["momentum"] = float(options.pop("momentum", 0.0))
    else:
        words["betas"] = [float(beta) for beta in options.pop("betas", (0.9, 0.999))]
        words["momentum"] = words["betas"][0]
        if kind == "Adam":
            notes.append("the optimiser is Adam, whose decay is part of the gradient; here it is AdamW")
        elif kind != "AdamW":
            notes.append(f"the optimiser is {kind}; here it is AdamW")
        if options.get("eps") == 1e-8:  # torch's own
            del options["eps"]
    notes += [f"optimiser: {option} = {value}" for option, value in sorted(options.items())]
    return words


def _groups(
    wrapper: Mapping[str, Any], trained: Sequence[str] | None, num_layers: int | None, notes: list[str]
) -> Words:
    """Rates and decays of their own: by layer, by part of the name, of norms and biases."""
    options = dict(wrapper.get("paramwise_cfg") or {})
    constructor = wrapper.get("constructor") or "DefaultOptimWrapperConstructor"
    if constructor in ("LayerDecayOptimizerConstructor", "LearningRateDecayOptimizerConstructor"):
        rate = options.get("decay_rate", options.get("layer_decay_rate"))
        by_layer = options.get("decay_type", "layer_wise") == "layer_wise"
        if num_layers is not None and by_layer and options.get("num_layers") == num_layers:
            return {"layer_decay": rate}
        notes.append(f"rates decay by {rate} from each {'layer' if by_layer else 'stage'} to the one below")
        return {}
    if constructor != "DefaultOptimWrapperConstructor":
        notes.append(f"parameter groups are made by {constructor}")
    words = _named_groups(options.pop("custom_keys", {}), trained, notes)
    no_decay = [
        word
        for word, option in (("norms", "norm_decay_mult"), ("biases", "bias_decay_mult"))
        if options.get(option) == 0 and options.pop(option) == 0
    ]
    notes += [f"parameters: {option} = {value}" for option, value in sorted(options.items())]
    return {**words, "no_weight_decay": no_decay} if no_decay else words


def _named_groups(
    keys: Mapping[str, Mapping[str, Any]], trained: Sequence[str] | None, notes: list[str]
) -> Words:
    groups: list[Words] = []
    for match, factors in sorted(keys.items()):
        if trained is not None and not any(match in parameter for parameter in trained):
            continue
        group: Words = {"match": match}
        if factors.get("lr_mult", 1) != 1:
            group["learning_rate"] = float(factors["lr_mult"])
        if factors.get("decay_mult", 1) != 1:
            group["weight_decay"] = float(factors["decay_mult"])
        groups.append(group)
    if len(groups) > _MOST_GROUPS:
        notes.append(f"{len(groups)} parts of names have rates and decays of their own")
        return {}
    return {"parameter_groups": groups} if groups else {}


def _wrapper_words(wrapper: Mapping[str, Any], config: Mapping[str, Any], notes: list[str]) -> Words:
    """Precision and the limit of the gradient."""
    words: Words = {}
    if wrapper.get("type") == "AmpOptimWrapper":
        words["precision"] = "bf16" if wrapper.get("dtype") == "bfloat16" else "fp16"
        scale = wrapper.get("loss_scale", "dynamic")
        if scale != "dynamic":
            notes.append(f"the loss is scaled by {scale:g} throughout; here the scale follows the gradients")
    elif config.get("fp16"):
        notes.append("`fp16`, a word of mmsegmentation 0.x: it changes nothing now, and float32 stands here")
    clip = wrapper.get("clip_grad")
    if clip:
        if clip.get("norm_type", 2) == 2 and "max_norm" in clip:
            words["clip_gradient_norm"] = float(clip["max_norm"])
        else:
            notes.append(f"gradients are clipped otherwise than by their norm: {clip}")
    return words


def _loss_average(model: Mapping[str, Any]) -> str:
    """What the decode head's cross-entropy is a mean over; mmseg's default is all pixels."""
    head = (head_list(model.get("decode_head")) or [{}])[-1]
    losses = head_list(head.get("loss_decode"))
    return "valid" if any(loss.get("avg_non_ignore") for loss in losses) else "all"
