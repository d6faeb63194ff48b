"""The models an experiment can name, and the schedule each is trained with by default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from trainer.base.strict_model import StrictModel

ModelName = Literal["small"]


class ModelChoice(StrictModel):
    """A recipe of the catalogue."""

    name: ModelName = Field(description="Name in the catalogue: see GET /models.")


def _from_name(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


Model = Annotated[ModelChoice, BeforeValidator(_from_name, json_schema_input_type=ModelName | ModelChoice)]


@dataclass(frozen=True)
class Recipe:
    """A model of the catalogue: mmseg's model config as plain data, and its schedules.

    `schedules` maps a data set's name to the schedule fields it overrides; "" is for all others.
    `norm_stride`: so many pixels of a crop's side lie behind one cell of the smallest map that goes through
    batch norm; None where that map is pooled to a single cell, as in ASPP's branch of the whole picture.
    `num_classes` is filled in when the plan is made; on a CPU SyncBN becomes BN.
    """

    title: str
    description: str
    source: str
    model: Mapping[str, Any]
    norm_stride: int | None
    schedules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def has_layers(self) -> bool:
        """Whether the backbone has layers that `layer_decay` can count."""
        return self.model["backbone"]["type"] in ("BEiT", "MAE", "SwinTransformer")

    def schedule_for(self, dataset_name: str) -> dict[str, Any]:
        """All schedule fields, with the data set's own over the common ones."""
        return {**self.schedules[""], **self.schedules.get(dataset_name, {})}

    def norm_values(self, crop_size: tuple[int, int], pictures: int) -> int:
        """How many values of a channel the smallest map gives batch norm, in training; it needs two.

        Args:
            crop_size: (height, width).
            pictures: those that are normalised together.
        """
        if self.norm_stride is None:
            return pictures
        height, width = (-(-side // self.norm_stride) for side in crop_size)
        return pictures * height * width


_NORM = {"type": "SyncBN", "requires_grad": True}

_SMALL: dict[str, Any] = {
    "type": "EncoderDecoder",
    "backbone": {
        "type": "ResNetV1c",
        "depth": 18,
        "stem_channels": 28,
        "base_channels": 28,
        "num_stages": 3,
        "strides": (1, 2, 2),
        "dilations": (1, 1, 1),
        "out_indices": (0, 1, 2),
        "norm_eval": False,
        "norm_cfg": _NORM,
        "style": "pytorch",
        "contract_dilation": True,
    },
    "decode_head": {
        "type": "FCNHead",
        "norm_cfg": _NORM,
        "in_channels": (28, 56, 112),
        "in_index": (0, 1, 2),
        "input_transform": "resize_concat",
        "channels": 128,
        "num_convs": 1,
        "kernel_size": 1,
        "concat_input": False,
        "dropout_ratio": 0.0,
        "align_corners": False,
    },
}

RECIPES: dict[str, Recipe] = {
    "small": Recipe(
        title="Small residual encoder-decoder",
        description="ResNet-18 layout, 28 base channels, three stages fused at stride 4, D = 128; untrained",
        source="laptop-size, ours; parts from mmsegmentation",
        model=_SMALL,
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
