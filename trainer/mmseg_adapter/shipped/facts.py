"""What is true of a config file's model whatever it is trained on, found by building it without numbers."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from trainer.criterion import Criterion
from trainer.mmseg_adapter.head import UnsupportedHead, attach
from trainer.mmseg_adapter.shipped.augmentation import pipeline_of
from trainer.mmseg_adapter.shipped.models import class_count
from trainer.mmseg_adapter.shipped.outline import CANNOT_RUN, Size, normalised_maps, outline
from trainer.spec.models import LAYERED

_SEGMENTORS = ("EncoderDecoder", "CascadeEncoderDecoder")
_WIDEST_STRIDE = 256
_OPERATORS = re.compile(r"install \S*mmcv")
_SCOPED = re.compile(r"^([a-z_0-9]+)\.[A-Z]\w+$")  # "mmpretrain.ConvNeXt"
_NOT_PICTURES = {
    "GenerateEdge": "its loss takes a map of edges beside the labels",
    "LoadImageFromNpyFile": "it takes arrays of many bands for pictures",
    "LoadMultipleRSImageFromFile": "it takes two pictures of a place",
    "LoadDepthAnnotation": "it predicts depths",
}


@dataclass(frozen=True)
class Facts:
    """Of one model. Nothing is known of one that cannot be built."""

    unusable: str | None = None  # why not
    parameters: int | None = None  # of all heads
    norm_stride: int | None = (
        None  # see `ModelEntry`: 0 where a map is pooled to one cell, None: no batch norm
    )
    num_layers: int | None = None  # of the backbone, where `layer_decay` counts them
    sized_by_crop: bool = False
    trained: tuple[str, ...] | None = None  # names of trained parameters
    pretrained_module: str | None = None  # what the pretrained weights are of


def facts_of(model: dict[str, Any], config: Mapping[str, Any], crop: Size, part: tuple[str, ...]) -> Facts:
    """Facts of a model.

    Args:
        model: as `plain_model` gives it.
        config: the file.
        crop: the file's.
        part: keys of the model's config, down to what its pretrained weights are of.
    """
    missing = _missing_package(model)
    if missing:
        return Facts(unusable=f"needs the package {missing}")
    try:
        built = outline(model)
    except (ImportError, *CANNOT_RUN, KeyError, OSError) as error:
        return Facts(unusable=_why_not_built(error))
    trained = tuple(name for name, parameter in built.named_parameters() if parameter.requires_grad)
    parameters = sum(parameter.numel() for parameter in built.parameters())
    unusable = _not_ours(model, config)
    if unusable:
        return Facts(unusable=unusable, parameters=parameters, trained=trained)
    stride, sized = _sizes(built, model, crop)
    return Facts(
        unusable=_not_attached(built, class_count(model) or 2),
        parameters=parameters,
        norm_stride=stride,
        num_layers=_num_layers(built) if model["backbone"]["type"] in LAYERED else None,
        sized_by_crop=sized,
        trained=trained,
        pretrained_module=_module_of(built, model, part),
    )


def _missing_package(value: Any) -> str | None:
    """The first package that a type is taken from and that is not installed."""
    for kind in _types(value):
        scope = _SCOPED.match(kind)
        if scope and scope[1] != "mmseg" and importlib.util.find_spec(scope[1]) is None:
            return scope[1]
    return None


def _types(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("type"), str):
            yield value["type"]
        for item in value.values():
            yield from _types(item)
    elif isinstance(value, list):
        for item in value:
            yield from _types(item)


def _why_not_built(error: BaseException) -> str:
    if isinstance(error, ImportError):
        return f"needs the package {(error.name or str(error)).split('.')[0]}"
    if _OPERATORS.search(str(error)):
        return "needs operators that mmcv has only where it is compiled"
    if "install required packages" in str(error):
        return "needs packages that mmsegmentation does not bring"
    lines = str(error).strip().splitlines()
    return f"cannot be built: {lines[-1][:150] if lines else type(error).__name__}"


def _not_ours(model: dict[str, Any], config: Mapping[str, Any]) -> str | None:
    """Why it cannot be trained on pictures and masks alone."""
    steps = {str(step["type"]) for step in pipeline_of(config, "train_dataloader")}
    for step, reason in _NOT_PICTURES.items():
        if step in steps:
            return reason
    if model["type"] not in _SEGMENTORS:
        return f"is a {model['type']}; allowed are {' and '.join(_SEGMENTORS)}"
    channels = model["backbone"].get("in_channels", 3)
    if channels != 3:
        return f"takes pictures of {channels} channels"
    return None


def _not_attached(built: nn.Module, num_classes: int) -> str | None:
    try:
        attach(built, lambda _channels, _align_corners: Criterion(num_classes, {}))
    except UnsupportedHead as error:
        return f"decode head {error}"
    return None


def _sizes(built: nn.Module, model: dict[str, Any], crop: Size) -> tuple[int | None, bool]:
    """(norm_stride, whether the backbone's img_size has to be the crop's)."""
    try:
        maps = normalised_maps(built, crop)
    except CANNOT_RUN:
        return None, "img_size" in model["backbone"]
    try:
        doubled = normalised_maps(built, (2 * crop[0], 2 * crop[1]))
    except CANNOT_RUN:
        return _stride(maps, crop), True
    if any(size == twice == (1, 1) for size, twice in zip(maps, doubled, strict=True)):
        return 0, False
    # A map of a fixed size above one cell is no limit.
    scaling = [size for size, twice in zip(maps, doubled, strict=True) if size != twice]
    return _exact_stride(built, _stride(scaling, crop)), False


def _stride(maps: list[Size], crop: Size) -> int | None:
    """From the maps of one crop alone."""
    if not maps:
        return None
    if (1, 1) in maps and min(crop) > _WIDEST_STRIDE:
        return 0
    return max(-(-side // cells) for size in maps for side, cells in zip(crop, size, strict=True))


def _exact_stride(built: nn.Module, stride: int | None) -> int | None:
    """The largest side whose smallest map has one cell: a map that is rounded down has one for longer."""
    if stride:
        while _cells(built, stride + 1) == 1:
            stride += 1
    return stride


def _cells(built: nn.Module, side: int) -> int | None:
    """Cells of the smallest map of a square crop; None where the model takes none so small."""
    try:
        return min(height * width for height, width in normalised_maps(built, (side, side)))
    except CANNOT_RUN:
        return None


def _num_layers(built: Any) -> int:
    backbone = built.backbone
    if hasattr(backbone, "stages"):
        return sum(len(stage.blocks) for stage in backbone.stages)
    return len(backbone.layers)


def _module_of(built: nn.Module, model: dict[str, Any], part: tuple[str, ...]) -> str | None:
    """Dotted name of the module that is built of a part of the model's config."""
    if not part:
        return None
    if len(part) == 1:
        return part[0]
    config: Any = model
    for key in part:
        config = config[key]
    within = f"{part[0]}."
    named = (
        name
        for name, module in built.named_modules()
        if name.startswith(within) and type(module).__name__ == config["type"]
    )
    return next(named, None)
