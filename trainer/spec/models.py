"""The models an experiment can name, and the schedule each is trained with by default."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from trainer.base.errors import Problem
from trainer.base.strict_model import StrictModel
from trainer.spec.catalogue import shipped
from trainer.spec.networks import SMALL, Network
from trainer.spec.own.model import OwnModel, own_model_problems, whole_config

ModelName = Literal["small"]
_KINDS = ("name", "mmseg", "config")  # of the catalogue, of mmsegmentation, one's own
_ANY_KIND = "name, mmseg and config"
LAYERED = ("BEiT", "MAE", "SwinTransformer")  # backbones whose layers `layer_decay` counts
_OF_ONE_SIZE = ("BEiT", "MAE")  # backbones with tables of positions
_THIRDS = {"window": (3, 3), "stride": (2, 2)}  # windows overlap by a third of the crop
_LISTED = "a name that `rebalance models --search TEXT` lists as usable"


class ModelChoice(StrictModel):
    """A model of the catalogue."""

    name: ModelName = Field(description="Name in the catalogue: see GET /models.")

    @property
    def label(self) -> str:
        """How tables call it."""
        return self.name


class MmsegChoice(StrictModel):
    """A configuration that mmsegmentation ships."""

    mmseg: str = Field(
        min_length=1,
        max_length=200,
        description="Its file's name below `configs`, without `.py`: see `rebalance models --search`.",
    )

    @property
    def label(self) -> str:
        """How tables call it."""
        return self.mmseg.rpartition("/")[2]


AnyModel = ModelChoice | MmsegChoice | OwnModel


def _from_name(value: object) -> object:
    """A name as an object; one that is of no kind of model, or of several, is told here."""
    if isinstance(value, dict):
        given = [key for key in _KINDS if key in value]
        if len(given) != 1:
            got = f"has {' and '.join(given)} together" if given else "has neither name, mmseg nor config"
            raise PydanticCustomError("alternatives", "{got}", {"got": got, "allowed": f"one of {_ANY_KIND}"})
    return {"name": value} if isinstance(value, str) else value


def _kind(value: object) -> str:
    """Which kind of model a document, or a model, is."""
    if isinstance(value, dict):
        return "shipped" if "mmseg" in value else "own" if "config" in value else "catalogue"
    return {MmsegChoice: "shipped", OwnModel: "own"}.get(type(value), "catalogue")  # type: ignore[call-overload,no-any-return]


_AnyKind = Annotated[
    Annotated[ModelChoice, Tag("catalogue")]
    | Annotated[MmsegChoice, Tag("shipped")]
    | Annotated[OwnModel, Tag("own")],
    Discriminator(_kind),
]
Model = Annotated[_AnyKind, BeforeValidator(_from_name, json_schema_input_type=ModelName | _AnyKind)]


@dataclass(frozen=True)
class ModelEntry:
    """What is known of a model before it is built.

    Attributes:
        network: loads it.
        schedules: a data set's name to the schedule fields it overrides; "" is for all others.
        norm_stride: so many pixels of a crop's side lie behind one cell of the smallest map that goes through
            batch norm; 0 where that map is pooled to a single cell, as in ASPP's branch of the whole picture;
            None where there is no batch norm, or it is not known.
        pretrained: name of the weights its published training begins with, None where it begins from scratch.
        inference: how it is run over a picture; see `Evaluation.inference`.
        sized_by_crop: it takes pictures of the size of the crop, and no other: so it slides over them.
        has_layers: its backbone has layers that `layer_decay` can count.
    """

    title: str
    description: str
    source: str
    network: Callable[[], Network]
    norm_stride: int | None
    schedules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    pretrained: str | None = None
    inference: str | Mapping[str, Any] = "whole"
    sized_by_crop: bool = False
    has_layers: bool = False
    num_classes: int | None = None  # that `parameters` is counted with
    parameters: int | None = None

    def schedule_for(self, dataset_name: str) -> dict[str, Any]:
        """All schedule fields, with the data set's own over the common ones."""
        return {**self.schedules[""], **self.schedules.get(dataset_name, {})}

    def norm_values(self, crop_size: tuple[int, int], pictures: int) -> int:
        """How many values of a channel the smallest map gives batch norm, in training; it needs two.

        Args:
            crop_size: (height, width).
            pictures: those that are normalised together.
        """
        if not self.norm_stride:
            return pictures
        height, width = (-(-side // self.norm_stride) for side in crop_size)
        return pictures * height * width


def entry_of(model: AnyModel) -> ModelEntry:
    """What is known of `model`.

    Raises:
        KeyError: mmsegmentation ships no such configuration.
    """
    if isinstance(model, ModelChoice):
        return CATALOGUE[model.name]
    if isinstance(model, MmsegChoice):
        return _shipped_entry(model.mmseg)
    return _own_entry(model.config)


def entry_of_document(document: object) -> ModelEntry | None:
    """What is known of the model that a document names, or describes; None where it does neither."""
    kind = _kind(document)
    name = document.get("mmseg" if kind == "shipped" else "name") if isinstance(document, dict) else document
    if kind == "own":
        config = document["config"] if isinstance(document, dict) else None
        return _own_entry(config) if isinstance(config, dict) else None
    if not isinstance(name, str):
        return None
    if kind == "catalogue":
        return CATALOGUE.get(name)
    return _shipped_entry(name) if name in shipped.shipped() else None


@cache
def _shipped_entry(name: str) -> ModelEntry:
    one = shipped.shipped_model(name)
    return ModelEntry(
        title=f"{one.head} on {one.backbone}",
        description=f"as mmsegmentation trains it on {one.dataset}",
        source=f"mmsegmentation's configs/{name}.py",
        network=lambda: Network(shipped.model_config(one), **shipped.pixels(one)),
        norm_stride=one.norm_stride,
        schedules={"": one.schedule},
        pretrained=one.pretrained,
        inference=one.evaluation["inference"],
        sized_by_crop=one.sized_by_crop,
        has_layers=one.layers,
        num_classes=one.num_classes,
        parameters=one.parameters,
    )


def _own_entry(config: Mapping[str, Any]) -> ModelEntry:
    backbone = config.get("backbone")
    kind = backbone.get("type") if isinstance(backbone, dict) else None
    return ModelEntry(
        title="own model",
        description="as the spec describes it",
        source="the spec",
        network=lambda: Network(whole_config(config)),
        norm_stride=None,
        inference=_THIRDS if kind in _OF_ONE_SIZE else "whole",
        sized_by_crop=kind in _OF_ONE_SIZE,
        schedules=CATALOGUE["small"].schedules,
        has_layers=kind in LAYERED,
    )


def model_problems(model: AnyModel) -> list[Problem]:
    """Why a model cannot be trained here: a name that is not known, a head that the branch cannot take."""
    if isinstance(model, OwnModel):
        return own_model_problems(model.config)
    if isinstance(model, ModelChoice):
        return []
    known = shipped.shipped()
    entry = known.get(model.mmseg)
    if entry is None:
        near = difflib.get_close_matches(model.mmseg, known, n=3, cutoff=0.5)
        like = f"; near: {', '.join(near)}" if near else ""
        return [Problem("/model/mmseg", f"{model.mmseg!r} is not known", f"{_LISTED}{like}")]
    if entry.unusable is not None:
        got = f"{model.mmseg} cannot be trained here: {entry.unusable}"
        return [Problem("/model/mmseg", got, _LISTED)]
    return []


CATALOGUE: dict[str, ModelEntry] = {
    "small": ModelEntry(
        title="Small residual encoder-decoder",
        description="ResNet-18 layout, 28 base channels, three stages fused at stride 4, D = 128; untrained",
        source="laptop-size, ours; parts from mmsegmentation",
        network=lambda: Network(SMALL),
        norm_stride=16,
        schedules={
            "": {
                "iterations": 1000,
                "batch_size": 8,
                "crop_size": (128, 128),
                "optimizer": "sgd",
                "learning_rate": 0.1,
                "momentum": 0.9,
                "weight_decay": 5e-4,
                "warmup_iterations": 30,
                "power": 0.9,
            },
            "digit_scenes": {"batch_size": 16, "crop_size": (64, 64), "learning_rate": 0.4},
            "camvid": {"iterations": 800, "crop_size": (180, 240)},
        },
    ),
}
