"""The training methods an experiment can name, and the bounds of their parameters.

One class for each `kind`; what they compute lives in `trainer.losses`, and the one place that
chooses by kind is `trainer.criterion`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from trainer.strict_model import StrictModel


class Baseline(StrictModel):
    """Pixel cross-entropy."""

    kind: Literal["baseline"] = "baseline"


class Reweighting(StrictModel):
    """Pixel cross-entropy weighted by inverse pixel frequency; mean weight 1 over classes that occur."""

    kind: Literal["reweighting"] = "reweighting"


class BalancedSoftmax(StrictModel):
    """Balanced softmax on pixels (Ren et al. 2020): the log prior is added to the logits in training."""

    kind: Literal["balanced_softmax"] = "balanced_softmax"
    prior: Literal["pixel", "region"] = Field(
        default="pixel",
        description="Count pixels of a class, or the images it occurs in (the paper's *).",
    )


class RegionRebalance(StrictModel):
    """Pixel cross-entropy plus a rebalanced region classification branch (arXiv 2204.01969, Eq. 9)."""

    kind: Literal["region_rebalance"] = "region_rebalance"
    region_weight: float = Field(
        default=0.3, ge=0, le=10, alias="lambda", description="λ of Eq. 9: weight of the region loss."
    )
    rebalance: Literal["balanced_softmax", "none"] = Field(
        default="balanced_softmax", description="`none` is the paper's ablation I."
    )
    scope: Literal["image", "batch"] = Field(
        default="image", description="A region is a class in one image (the paper), or in a worker's batch."
    )


class Dice(StrictModel):
    """Dice loss, alone or with pixel cross-entropy (Table 6)."""

    kind: Literal["dice"] = "dice"
    cross_entropy: bool = Field(default=False, description="Add pixel cross-entropy.")


AnyMethod = Annotated[
    Baseline | Reweighting | BalancedSoftmax | RegionRebalance | Dice, Field(discriminator="kind")
]

METHODS: dict[str, type[StrictModel]] = {
    "baseline": Baseline,
    "reweighting": Reweighting,
    "balanced_softmax": BalancedSoftmax,
    "region_rebalance": RegionRebalance,
    "dice": Dice,
}


def _from_name(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


MethodName = Literal["baseline", "reweighting", "balanced_softmax", "region_rebalance", "dice"]
Method = Annotated[AnyMethod, BeforeValidator(_from_name, json_schema_input_type=MethodName | AnyMethod)]


def label(method: Baseline | Reweighting | BalancedSoftmax | RegionRebalance | Dice) -> str:
    """Short name for a table row: the kind and every parameter that is not the default."""
    extras = method.model_dump(exclude={"kind"}, exclude_defaults=True)
    shown = ", ".join(f"{name}={value}" for name, value in extras.items())
    return f"{method.kind} ({shown})" if shown else method.kind
