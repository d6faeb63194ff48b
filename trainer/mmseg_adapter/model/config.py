"""The model of a spec as mmsegmentation builds it: plain data."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from trainer.spec.data.datasets import IGNORE_INDEX
from trainer.spec.evaluation import Evaluation, Slide
from trainer.spec.models import entry_of
from trainer.spec.networks import Network
from trainer.spec.spec import ExperimentSpec

_WANTING_LISTS = ("FPN", "MLANeck", "MultiLevelNeck")  # their `in_channels`


def network_of(spec: ExperimentSpec) -> Network:
    """The model of `spec`, of the size of its crops where it takes no other."""
    entry = entry_of(spec.model)
    network = entry.network()
    if not entry.sized_by_crop:
        return network
    backbone = {**network.model["backbone"], "img_size": spec.schedule.crop_size}
    return replace(network, model={**network.model, "backbone": backbone})


def render_model(network: Network, spec: ExperimentSpec, *, num_classes: int) -> dict[str, Any]:
    """A model in mmseg's terms, as `spec` trains it: plain data; `network` stays as it is."""
    model: dict[str, Any] = json.loads(json.dumps(dict(network.model)))
    model.setdefault("type", "EncoderDecoder")
    if not spec.resources.gpus_per_worker:
        model = _without_sync(model)
    for name in ("decode_head", "auxiliary_head"):
        for head in _as_list(model.get(name)):
            head |= {"num_classes": num_classes, "ignore_index": IGNORE_INDEX}
            _average(head, spec)
    model["data_preprocessor"] = {
        "type": "SegDataPreProcessor",
        "mean": network.mean,
        "std": network.std,
        "bgr_to_rgb": network.bgr_to_rgb,
        "pad_val": 0,
        "seg_pad_val": IGNORE_INDEX,
        "size": spec.schedule.crop_size,
    }
    model["train_cfg"] = {}
    model["test_cfg"] = _test_cfg(spec.evaluation)
    return model


def _average(head: dict[str, Any], spec: ExperimentSpec) -> None:
    """The head's own cross-entropy, as a mean over the pixels that the spec says."""
    usual = {"type": "CrossEntropyLoss", "use_sigmoid": False, "loss_weight": 1.0}
    for loss in _as_list(head.setdefault("loss_decode", usual)):
        if loss["type"] == "CrossEntropyLoss":
            loss["avg_non_ignore"] = spec.schedule.loss_average == "valid"


def _test_cfg(evaluation: Evaluation) -> dict[str, Any]:
    way = evaluation.inference
    if isinstance(way, Slide):
        return {"mode": "slide", "crop_size": way.window, "stride": way.stride}
    return {"mode": "whole"}


def _without_sync(value: Any) -> Any:
    """SyncBN does not run on a CPU: there each worker normalises by its own part of the batch."""
    if isinstance(value, dict):
        plain = {key: _without_sync(item) for key, item in value.items()}
        return {**plain, "type": "BN"} if plain.get("type") == "SyncBN" else plain
    return [_without_sync(item) for item in value] if isinstance(value, list) else value


def _as_list(value: Any) -> list[dict[str, Any]]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def revive(value: Any) -> Any:
    """The rendered config as mmengine wants it: mmcv insists on tuples where JSON has lists of integers.

    Some necks of mmseg insist on a list.
    """
    if isinstance(value, dict):
        revived = {key: revive(item) for key, item in value.items()}
        if value.get("type") in _WANTING_LISTS and isinstance(value.get("in_channels"), list):
            revived["in_channels"] = value["in_channels"]
        return revived
    if isinstance(value, list):
        items = [revive(item) for item in value]
        return tuple(items) if items and all(type(item) is int for item in items) else items
    return value
