"""mmsegmentation's own models, read from packaged JSON: no mmseg, no torch.

The files are written by `python -m trainer.mmseg_adapter.shipped` (`make golden`).
"""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class ShippedModel:
    """One of mmsegmentation's config files: its model in short, and its training in our words."""

    name: str  # FOLDER/FILE
    head: str  # type of the decode head; of a cascade's the last
    backbone: str  # type, with depth, width or letter
    dataset: str  # our name of it, or mmseg's in lower case
    num_classes: int | None
    parameters: int | None  # of the file's own model, auxiliary heads included; None: it cannot be built here
    mIoU: float | None  # published, in percent
    mIoU_ms: float | None  # of several scales and mirrored
    checkpoint: str | None  # URL of the trained weights
    pretrained: str | None  # a name in `weights_list`: what training begins with
    pretrained_module: str | None  # the part of the model that those are of
    unusable: str | None  # why we cannot train it
    norm_stride: int | None  # pixels of a crop's side behind a cell of batch norm's smallest map; 0: one cell
    layers: bool  # whether `layer_decay` can count the backbone's
    sized_by_crop: bool  # whether the backbone's img_size has to be the crop's
    batch_size: int
    schedule: Mapping[str, Any]  # words of `Schedule`
    augmentation: Mapping[str, Any]  # words of `Augmentation`
    evaluation: Mapping[str, Any]  # "inference": "whole" or window and stride; "interval": steps or None
    untranslated: tuple[str, ...]  # what the file has that our words do not
    model: str  # key of the model's config

    @property
    def usable(self) -> bool:
        """Whether we can train it."""
        return self.unusable is None


@functools.cache
def shipped() -> Mapping[str, ShippedModel]:
    """All of them by name, sorted."""
    return MappingProxyType(
        {
            name: ShippedModel(name=name, **{**fields, "untranslated": tuple(fields["untranslated"])})
            for name, fields in packaged("index.json").items()
        }
    )


def shipped_model(name: str) -> ShippedModel:
    """The one of this name.

    Raises:
        KeyError: there is none.
    """
    return shipped()[name]


def model_config(entry: ShippedModel) -> dict[str, Any]:
    """Config of the model in mmseg's words, the caller's own: no weights, no preprocessor, no test_cfg."""
    config: dict[str, Any] = copy.deepcopy(_models()[entry.model]["model"])
    return config


def pixels(entry: ShippedModel) -> dict[str, Any]:
    """What is done to pixels before the model: `mean`, `std` (of each channel), `bgr_to_rgb`."""
    statistics: dict[str, Any] = copy.deepcopy(_models()[entry.model]["pixels"])
    return statistics


def search(text: str) -> list[ShippedModel]:
    """Those that have every word of `text` in name, head, backbone or data set; usable ones first."""
    words = text.casefold().split()
    found = [entry for entry in shipped().values() if all(word in _searched(entry) for word in words)]
    return sorted(found, key=lambda entry: (not entry.usable, entry.name))


def packaged(name: str) -> dict[str, Any]:
    """A JSON file of the catalogue."""
    content: dict[str, Any] = json.loads((resources.files(__package__) / name).read_text(encoding="utf-8"))
    return content


@functools.cache
def _models() -> dict[str, Any]:
    return packaged("models.json")


def _searched(entry: ShippedModel) -> str:
    return f"{entry.name}\n{entry.head}\n{entry.backbone}\n{entry.dataset}".casefold()
