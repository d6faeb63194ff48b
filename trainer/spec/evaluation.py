"""How a trained model is scored."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from trainer.base.strict_model import StrictModel
from trainer.spec.schedule import Side

ScoreName = Literal["mIoU", "mAcc", "aAcc", "head_mIoU", "body_mIoU", "tail_mIoU"]  # percent
ModeName = Literal["single_scale", "multi_scale", "multi_scale_native"]
SINGLE_SCALE: ModeName = "single_scale"
MULTI_SCALE: ModeName = "multi_scale"
MULTI_SCALE_NATIVE: ModeName = "multi_scale_native"
WHOLE: Literal["whole"] = "whole"
_LONG = 10_000  # iterations
Share = Annotated[float, Field(gt=0, lt=1)]
Step = Annotated[int, Field(ge=1, le=2048)]
Scale = Annotated[float, Field(ge=0.1, le=4)]


class Slide(StrictModel):
    """Windows over a picture; where they overlap their logits are averaged."""

    window: Annotated[tuple[Side, Side], Field(strict=False)] = Field(description="[height, width]")
    stride: Annotated[tuple[Step, Step], Field(strict=False)] = Field(description="[down, right]")


Inference = Literal["whole"] | Slide


class Mode(StrictModel):
    """One way to score: views of a picture, whose class probabilities are averaged."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")] = Field(
        description="In reports and tables; none of those that are known."
    )
    scales: Annotated[tuple[Scale, ...], Field(strict=False)] = Field(
        default=(1.0,), min_length=1, max_length=12, description="Of the picture, one view for each."
    )
    flip: bool = Field(default=False, description="Whether each view is taken mirrored as well.")
    base: Literal["test_size", "native"] = Field(
        default="test_size",
        description="What the scales multiply: the size at which pictures are scored "
        "(/augmentation/test_size), as mmsegmentation 0.x and the paper, or the picture's own, as "
        "mmsegmentation 1.x.",
    )
    inference: Inference | None = Field(
        default=None, description="Of each view; null: as /evaluation/inference."
    )


_PAPERS_SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
MODES: dict[str, Mode] = {
    SINGLE_SCALE: Mode(name=SINGLE_SCALE),
    MULTI_SCALE: Mode(name=MULTI_SCALE, scales=_PAPERS_SCALES, flip=True),
    MULTI_SCALE_NATIVE: Mode(name=MULTI_SCALE_NATIVE, scales=_PAPERS_SCALES, flip=True, base="native"),
}
AnyMode = ModeName | Mode
Modes = Annotated[tuple[AnyMode, ...], Field(strict=False, min_length=1, max_length=8)]


class Evaluation(StrictModel):
    """How the trained model is scored."""

    modes: Modes = Field(
        default=(SINGLE_SCALE,),
        description="The first is the one that lists show, sweeps rank by and `interval` scores.",
    )
    interval: int | None = Field(
        default=None,
        ge=1,
        description="Score every so many iterations as well; always at the end. null: at the end alone, "
        "and from 10,000 iterations on every tenth of them.",
    )
    inference: Inference = Field(
        default=WHOLE,
        description="Over the whole picture at once, or over windows; left out: the model's way.",
    )
    group_boundaries: Annotated[tuple[Share, Share], Field(strict=False)] | None = Field(
        default=None,
        description="Shares of the classes, most frequent first, at which head and body end; null: thirds.",
    )

    @property
    def by_name(self) -> dict[str, Mode]:
        """The modes by name, in their order."""
        return named(self.modes)

    @property
    def first(self) -> Mode:
        """The mode that lists show."""
        return next(iter(self.by_name.values()))


def usual_interval(iterations: int) -> int:
    """Iterations between evaluations where nobody says: of long trainings a tenth, as mmsegmentation's files.

    Rounded up where it does not divide `iterations`: there are ten at most.
    """
    return iterations if iterations < _LONG else -(-iterations // 10)


def named(modes: tuple[AnyMode, ...]) -> dict[str, Mode]:
    """The modes by name, in their order."""
    found = [MODES[mode] if isinstance(mode, str) else mode for mode in modes]
    return {mode.name: mode for mode in found}
