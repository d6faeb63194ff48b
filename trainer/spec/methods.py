"""The training methods an experiment can name, and the bounds of their parameters.

One class for each `kind`; what they compute lives in `trainer.losses`, and the one place that
chooses by kind is `trainer.criterion`.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BeforeValidator, Field

from trainer.base.strict_model import StrictModel

Prior = Literal["pixel", "region"]
_PRIOR: Any = Field(
    default="pixel", description="Count pixels of a class, or the images it occurs in (the paper's *)."
)


class Baseline(StrictModel):
    """Pixel cross-entropy."""

    region_weight: ClassVar[float] = 0.0  # no region branch
    kind: Literal["baseline"] = "baseline"


class Reweighting(StrictModel):
    """Pixel cross-entropy with a weight for each class; mean weight 1 over the classes that occur."""

    kind: Literal["reweighting"] = "reweighting"
    weights: Literal["inverse_frequency", "effective_number"] = Field(
        default="inverse_frequency",
        description="1 / count, or (1 - beta) / (1 - beta^count) (Cui et al. 2019).",
    )
    beta: float = Field(default=0.9999, ge=0, lt=1, description="Of the effective number; unused otherwise.")
    prior: Prior = _PRIOR


class BalancedSoftmax(StrictModel):
    """Balanced softmax on pixels (Ren et al. 2020): the log prior is added to the logits in training."""

    kind: Literal["balanced_softmax"] = "balanced_softmax"
    prior: Prior = _PRIOR


class LogitAdjustment(StrictModel):
    """Logit adjustment (Menon et al. 2021): temperature times the log prior, in training or afterwards."""

    kind: Literal["logit_adjustment"] = "logit_adjustment"
    mode: Literal["training", "post_hoc"] = Field(
        default="training",
        description="`training` adds it to the logits of the loss; `post_hoc` trains the baseline and "
        "takes it off the logits of every prediction.",
    )
    temperature: float = Field(default=1.0, ge=0, le=10, description="τ; 0 is the baseline.")
    prior: Prior = _PRIOR


class Ldam(StrictModel):
    """Label-distribution-aware margin loss (Cao et al. 2019): margins proportional to count^(-1/4).

    The authors' scale is 30, for cosines. Our heads' logits are not normalised: with 30 the gradient is 30
    times larger, and `small` on `digit_scenes` diverges at its learning rate.
    """

    kind: Literal["ldam"] = "ldam"
    max_margin: float = Field(default=0.5, ge=0, le=10, description="Margin of the rarest class.")
    scale: float = Field(
        default=1.0, gt=0, le=100, description="Multiplies the logits after the margin; 30 is for cosines."
    )
    prior: Prior = _PRIOR


class Focal(StrictModel):
    """Focal loss (Lin et al. 2017) on the softmax: pixels that are right already count less."""

    kind: Literal["focal"] = "focal"
    gamma: float = Field(default=2.0, ge=0, le=10, description="0 is the baseline.")


class Lovasz(StrictModel):
    """Lovász-softmax (Berman et al. 2018), alone or with pixel cross-entropy."""

    kind: Literal["lovasz"] = "lovasz"
    scope: Literal["batch", "image"] = Field(
        default="batch", description="IoU over a worker's batch, or image by image."
    )
    cross_entropy: bool = Field(default=False, description="Add pixel cross-entropy.")


class Ohem(StrictModel):
    """Cross-entropy on hard pixels only (online hard example mining)."""

    of_a_batch: ClassVar[str] = "which pixels are hard is decided over a batch"
    kind: Literal["ohem"] = "ohem"
    threshold: float = Field(
        default=0.7, gt=0, le=1, description="A pixel is hard if its class has a lower probability."
    )
    min_kept: float = Field(
        default=0.0625, gt=0, le=1, description="At least this share of a worker's valid pixels is kept."
    )


class Seesaw(StrictModel):
    """Seesaw loss (Wang et al. 2021): negative gradients on rarer classes scaled down, then up again."""

    of_a_batch: ClassVar[str] = "its factors come from what is predicted for a batch"
    kind: Literal["seesaw"] = "seesaw"
    mitigation: float = Field(default=0.8, ge=0, le=10, description="p, exponent of the mitigation factor.")
    compensation: float = Field(
        default=2.0, ge=0, le=10, description="q, exponent of the compensation factor."
    )


class Recall(StrictModel):
    """Recall loss (Tian et al. 2022): cross-entropy weighted by each class's share of missed pixels."""

    of_a_batch: ClassVar[str] = "its weights are the recalls of a batch"
    kind: Literal["recall"] = "recall"


class Blv(StrictModel):
    """Balancing logit variation (Wang et al. 2023): noise on the logits, more of it for rarer classes."""

    kind: Literal["blv"] = "blv"
    sigma: float = Field(
        default=4.0, ge=0, le=100, description="Deviation of the noise before clipping at 1."
    )
    prior: Prior = _PRIOR


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
    projection: int | None = Field(
        default=None,
        ge=8,
        le=2048,
        description="Channels of a 1×1 convolution with batch norm before pooling; null: none.",
    )
    classifier: Literal["linear", "etf"] = Field(
        default="linear", description="`etf`: a fixed simplex equiangular tight frame (CeCo, 2023)."
    )
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="Of the regions' labels.")


class Dice(StrictModel):
    """Dice loss, alone or with pixel cross-entropy (Table 6)."""

    kind: Literal["dice"] = "dice"
    cross_entropy: bool = Field(default=False, description="Add pixel cross-entropy.")
    # Left out of the document where it is not given: specs from before it keep their hash.
    form: Literal["region", "mmseg"] = Field(
        default="region",
        exclude_if=lambda value: value == "region",
        description="A term for each class in each picture, or mmsegmentation's `DiceLoss`.",
    )


AnyMethod = Annotated[
    Baseline
    | Reweighting
    | BalancedSoftmax
    | LogitAdjustment
    | Ldam
    | Focal
    | Lovasz
    | Ohem
    | Seesaw
    | Recall
    | Blv
    | RegionRebalance
    | Dice,
    Field(discriminator="kind"),
]

METHODS: dict[str, type[StrictModel]] = {
    model.model_fields["kind"].default: model for model in get_args(get_args(AnyMethod)[0])
}


def _from_name(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


_SENT: Any = Literal[tuple(METHODS)] | AnyMethod  # a name alone, or with parameters
Method = Annotated[AnyMethod, BeforeValidator(_from_name, json_schema_input_type=_SENT)]


def label(method: AnyMethod) -> str:
    """Short name for a table row: the kind and every parameter that is not the default."""
    extras = method.model_dump(exclude={"kind"}, exclude_defaults=True)
    shown = ", ".join(f"{name}={value}" for name, value in extras.items())
    return f"{method.kind} ({shown})" if shown else method.kind


def branch_weight(method: AnyMethod) -> float | None:
    """λ of the region branch, 0 where plain pixel cross-entropy is all there is; None of other methods."""
    weight: float | None = getattr(method, "region_weight", None)
    return weight


def of_a_batch(method: AnyMethod) -> str | None:
    """Why the method's loss of a batch is not the mean of its parts' losses; None where it is."""
    if getattr(method, "scope", "image") == "batch":
        return "its regions are those of a whole batch"
    reason: str | None = getattr(method, "of_a_batch", None)
    return reason
