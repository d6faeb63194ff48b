"""How a trained model is scored."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from trainer.base.strict_model import StrictModel
from trainer.spec.schedule import Side

Mode = Literal["single_scale"]
SINGLE_SCALE: Mode = "single_scale"
WHOLE: Literal["whole"] = "whole"
Share = Annotated[float, Field(gt=0, lt=1)]
Step = Annotated[int, Field(ge=1, le=2048)]


class Slide(StrictModel):
    """Windows over a picture; where they overlap their logits are averaged."""

    window: Annotated[tuple[Side, Side], Field(strict=False)] = Field(description="[height, width]")
    stride: Annotated[tuple[Step, Step], Field(strict=False)] = Field(description="[down, right]")


class Evaluation(StrictModel):
    """How the trained model is scored."""

    modes: Annotated[tuple[Mode, ...], Field(strict=False)] = Field(
        default=(SINGLE_SCALE,), min_length=1, max_length=1
    )
    interval: int | None = Field(
        default=None, ge=1, description="Score every so many iterations as well; always at the end."
    )
    inference: Literal["whole"] | Slide = Field(
        default=WHOLE,
        description="Over the whole picture at once, or over windows; left out: the model's way.",
    )
    group_boundaries: Annotated[tuple[Share, Share], Field(strict=False)] | None = Field(
        default=None,
        description="Shares of the classes, most frequent first, at which head and body end; null: thirds.",
    )
