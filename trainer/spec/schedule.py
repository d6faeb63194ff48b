"""How a model is optimised: every word that decides a number, from the rate to the precision."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from trainer.base.strict_model import StrictModel, all_optional

SMALLEST_CROP = 16  # a side, in pixels
Side = Annotated[int, Field(ge=SMALLEST_CROP, le=2048)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Factor = Annotated[float, Field(ge=0, le=1000)]
Precision = Literal["float32", "bf16", "fp16"]
LossAverage = Literal["valid", "all"]
NoDecay = Literal["norms", "biases"]


class ParameterGroup(StrictModel):
    """Rate and decay of the parameters whose name contains `match`; of several, the longest decides."""

    match: str = Field(
        min_length=1, max_length=200, description="Part of a parameter's name, such as `backbone`."
    )
    learning_rate: Factor = Field(default=1.0, description="Multiplies the learning rate.")
    weight_decay: Factor = Field(default=1.0, description="Multiplies the weight decay.")


class SkipNonfinite(StrictModel):
    """Leaves steps out whose loss or gradient is not finite."""

    skip: int = Field(ge=1, le=1000, description="So many in all; at the next one the run stops.")


class Schedule(StrictModel):
    """How the model is optimised. Fields left out come from the model's recipe for the data set."""

    model_config = ConfigDict(json_schema_extra=all_optional)

    iterations: int = Field(ge=1, le=10_000_000)
    batch_size: int = Field(ge=1, le=65_536, description="Global: over all workers.")
    crop_size: Annotated[tuple[Side, Side], Field(strict=False)] = Field(description="[height, width]")
    optimizer: Literal["sgd", "adamw"]
    learning_rate: float = Field(gt=0, le=100)
    momentum: float = Field(ge=0, lt=1, description="SGD's momentum; AdamW's first beta.")
    weight_decay: float = Field(ge=0, le=10)
    warmup_iterations: int = Field(ge=0, description="Linear warm-up; then polynomial decay.")
    power: float = Field(ge=0, le=10, description="Exponent of the polynomial decay.")

    # Words that came later: at their defaults they are no part of a spec's hash.
    min_learning_rate: float = Field(default=0.0, ge=0, le=100, description="At the end of the decay.")
    warmup_factor: float = Field(
        default=0.01, gt=0, le=1, description="Share of the learning rate that the warm-up begins with."
    )
    betas: Annotated[tuple[Beta, Beta], Field(strict=False)] | None = Field(
        default=None, description="AdamW's; null: [momentum, 0.999]."
    )
    parameter_groups: Annotated[tuple[ParameterGroup, ...], Field(strict=False)] = Field(
        default=(), max_length=100, description="Other rates and decays for some parameters."
    )
    no_weight_decay: Annotated[tuple[NoDecay, ...], Field(strict=False)] = Field(
        default=(), max_length=2, description="Parameters that no group names and that are not decayed."
    )
    layer_decay: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Each layer of a transformer learns at so much of the rate of the one above it.",
    )
    clip_gradient_norm: float | None = Field(
        default=None, gt=0, le=1e6, description="Largest L2 norm of a step."
    )
    accumulate: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="A worker's share of a batch is taken in so many parts, one after another.",
    )
    precision: Precision = Field(default="float32", description="Of the model's forward and backward pass.")
    loss_average: LossAverage = Field(
        default="valid", description="Mean of pixel losses: over pixels that are not void, or over all."
    )
    ema: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Decay of an average of the weights that is scored and kept; null: none.",
    )
    activation_checkpointing: bool = Field(
        default=False, description="Less memory, more time, the same numbers."
    )
    channels_last: bool = Field(default=False, description="Memory layout of pictures and features.")
    deterministic: bool = Field(
        default=False, description="Algorithms that give the same bits each time, where torch has them."
    )
    on_nonfinite: Literal["stop"] | SkipNonfinite = Field(
        default="stop", description="What follows a loss or gradient that is not finite."
    )
