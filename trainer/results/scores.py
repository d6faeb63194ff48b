"""The scores that every list, curve and table shows: their names, in the order of columns. Loads at once."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import Field

from trainer.base.strict_model import StrictModel
from trainer.spec.evaluation import ScoreName

HEADLINE: tuple[ScoreName, ...] = get_args(ScoreName)
PictureScoreName = Literal["image_mIoU", "image_mIoU_worst5", "class_image_mIoU", "class_image_mIoU_worst5"]
BY_PICTURE: tuple[PictureScoreName, ...] = get_args(PictureScoreName)


class HeadlineScores(StrictModel):
    """One evaluation in six numbers, percent. Head, body, tail: groups by training pixel frequency."""

    mIoU: float | None
    mAcc: float | None
    aAcc: float | None
    head_mIoU: float | None
    body_mIoU: float | None
    tail_mIoU: float | None

    @property
    def headline(self) -> dict[str, float | None]:
        """The scores by name, None where undefined."""
        return {name: getattr(self, name) for name in HEADLINE}


class GroupScores(StrictModel):
    """Mean IoU of head, body and tail classes."""

    head: float | None
    body: float | None
    tail: float | None


class OverallScores(HeadlineScores):
    """The scores of an evaluation that are no single class's; None also in what an older release has made."""

    image_mIoU: float | None = Field(
        default=None, description="Mean over pictures of the mean IoU of the classes in each."
    )
    image_mIoU_worst5: float | None = Field(default=None, description="Over the worst 5 % of the pictures.")
    class_image_mIoU: float | None = Field(
        default=None, description="Mean over classes of the mean IoU in the pictures with the class."
    )
    class_image_mIoU_worst5: float | None = Field(
        default=None, description="The same over the worst 5 % of each class's pictures."
    )
    region_frequency_groups: GroupScores | None = Field(
        default=None, description="Groups by training pictures with the class, cut as those by pixels are."
    )

    @property
    def by_picture(self) -> dict[str, float | None]:
        """The scores of single pictures by name, None where undefined."""
        return {name: getattr(self, name) for name in BY_PICTURE}

    @property
    def overall(self) -> dict[str, Any]:
        """The fields of this class by name."""
        return {name: getattr(self, name) for name in OverallScores.model_fields}


def column_title(score: ScoreName) -> str:
    """Over a narrow column: `head` for head_mIoU, the name itself for those of all classes."""
    return score.removesuffix("_mIoU")
