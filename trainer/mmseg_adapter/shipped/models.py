"""A config file's model as a model of any run: no weights, no preparation of data; and its names."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from trainer.mmseg_adapter.shipped.files import head_list

Model = dict[str, Any]

_HEADS = ("decode_head", "auxiliary_head")
_PER_RUN = ("data_preprocessor", "train_cfg", "test_cfg", "pretrained", "init_cfg")
_DATASETS = {"ADE20KDataset": "ade20k"}
_COCO_STUFF = {"10k": "cocostuff10k", "164k": "cocostuff164k"}

# (embed_dims of the first stage, layers in all) of backbones that are known by a letter.
_TWELVE = {(192, 12): "T", (384, 12): "S", (768, 12): "B", (1024, 24): "L"}
_SIZES: dict[str, dict[tuple[int, int], str]] = {
    "SwinTransformer": {(96, 12): "T", (96, 24): "S", (128, 24): "B", (192, 24): "L"},
    "VisionTransformer": _TWELVE,
    "BEiT": _TWELVE,
    "MAE": _TWELVE,
    "MixVisionTransformer": {
        (32, 8): "B0",
        (64, 8): "B1",
        (64, 16): "B2",
        (64, 28): "B3",
        (64, 41): "B4",
        (64, 52): "B5",
    },
    "PCPVT": {(64, 16): "S", (64, 28): "B", (64, 41): "L"},
    "SVT": {(64, 18): "S", (96, 24): "B", (128, 24): "L"},
    "MSCAN": {(32, 13): "T", (64, 10): "S", (64, 21): "B", (64, 38): "L"},
}


def plain_model(config: Mapping[str, Any], notes: list[str]) -> Model:
    """The model without weights, class weights and what belongs to a run; `notes` say what its losses are."""
    model: Model = copy.deepcopy({k: v for k, v in config["model"].items() if k not in _PER_RUN})
    without_weights(model)
    for key in _HEADS:
        for head in head_list(model.get(key)):
            notes += _drop_class_weights(head)
    last = (head_list(model.get("decode_head")) or [{}])[-1]
    for loss in head_list(last.get("loss_decode")):
        if loss["type"] != "CrossEntropyLoss" or loss.get("use_sigmoid"):
            notes.append(f"its loss is {loss['type']}{' of a sigmoid' if loss.get('use_sigmoid') else ''}")
        elif loss.get("loss_weight", 1.0) != 1:
            notes.append(f"its loss is weighed by {loss['loss_weight']:g}")
    return model


def without_weights(value: Any) -> None:
    """Takes out, at any depth, what names a checkpoint to begin with; other initialisations stay."""
    for item in value if isinstance(value, list) else []:
        without_weights(item)
    if not isinstance(value, dict):
        return
    for name in ("pretrained", "checkpoint"):
        value.pop(name, None)
    init = value.get("init_cfg")
    if init is not None:
        kept = [one for one in head_list(init) if "checkpoint" not in one]
        value.pop("init_cfg")
        if kept:
            value["init_cfg"] = kept
    for item in value.values():
        without_weights(item)


def model_key(model: Model, pixels: Mapping[str, Any]) -> str:
    """Short digest of a model and its pixels' statistics: the same for files with the same model."""
    text = json.dumps([model, pixels], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def pixel_statistics(config: Mapping[str, Any]) -> dict[str, Any]:
    """Mean and deviation of pixels, in the order of channels that the model gets."""
    said: Mapping[str, Any] = config["model"].get("data_preprocessor") or {}
    return {
        "mean": said.get("mean") or [0.0, 0.0, 0.0],
        "std": said.get("std") or [1.0, 1.0, 1.0],
        "bgr_to_rgb": bool(said.get("bgr_to_rgb", False)),
    }


def dataset_name(config: Mapping[str, Any]) -> str:
    """Our name of the file's data set, or mmseg's in lower case."""
    dataset: Any = (config.get("train_dataloader") or {}).get("dataset") or {}
    while "datasets" in dataset or "dataset" in dataset:
        dataset = dataset["dataset"] if "dataset" in dataset else dataset["datasets"][0]
    kind = str(dataset.get("type", ""))
    if kind == "COCOStuffDataset":
        root = str(dataset.get("data_root", ""))
        return next((name for part, name in _COCO_STUFF.items() if root.endswith(part)), "cocostuff")
    return _DATASETS.get(kind, kind.replace("Dataset", "").lower())


def head_name(model: Model) -> str:
    """Type of the head that predicts: of a cascade's the last."""
    return str((head_list(model.get("decode_head")) or [{"type": "none"}])[-1]["type"])


def class_count(model: Model) -> int | None:
    """Classes of the head that predicts; None where it has none, as one of depths."""
    head = (head_list(model.get("decode_head")) or [{}])[-1]
    count = head.get("num_classes", head.get("kernel_generate_head", {}).get("num_classes"))
    return None if count is None else int(count)


def backbone_name(model: Model) -> str:
    """The backbone's type with its depth, width or letter: "ResNetV1c-50", "SwinTransformer-T"."""
    backbone = model.get("backbone") or model.get("image_encoder") or {}
    kind = str(backbone.get("type", "none")).rsplit(".", 1)[-1]
    inner = backbone.get("backbone_cfg")
    if inner:
        return f"{kind} ({backbone_name({'backbone': inner})})"
    if kind == "HRNet":
        return f"HRNet-W{backbone['extra']['stage2']['num_channels'][0]}{_small(backbone)}"
    size = (
        backbone.get("depth") or backbone.get("arch") or str(backbone.get("stdc_type", "")).removeprefix(kind)
    )
    size = size or backbone.get("widen_factor") or backbone.get("channels") or _letter(kind, backbone)
    size = None if isinstance(size, list) else size
    return f"{kind}-{size}" if size else kind


def _small(backbone: Mapping[str, Any]) -> str:
    """HRNet's small version has half the blocks in each stage."""
    return "-small" if backbone["extra"]["stage2"]["num_blocks"][0] < 4 else ""


def _letter(kind: str, backbone: Mapping[str, Any]) -> str | None:
    width, layers = backbone.get("embed_dims"), backbone.get("depths") or backbone.get("num_layers")
    if width is None or layers is None:
        return None
    first = width[0] if isinstance(width, list) else width
    return _SIZES.get(kind, {}).get((first, sum(layers) if isinstance(layers, list) else layers))


def _drop_class_weights(head: dict[str, Any]) -> list[str]:
    """Weights of one data set's classes say nothing of another's."""
    notes = []
    for loss in head_list(head.get("loss_decode")):
        weights = loss.pop("class_weight", None)
        if weights:
            notes.append(
                f"{head['type']}'s {loss['type']} weighs its {len(weights)} classes, here it does not"
            )
    return notes
