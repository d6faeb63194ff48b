"""The scores that every list, curve and table shows: their names, in the order of columns. Loads at once."""

from __future__ import annotations

from typing import get_args

from trainer.base.strict_model import StrictModel
from trainer.spec.evaluation import ScoreName

HEADLINE: tuple[ScoreName, ...] = get_args(ScoreName)


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


def column_title(score: ScoreName) -> str:
    """Over a narrow column: `head` for head_mIoU, the name itself for those of all classes."""
    return score.removesuffix("_mIoU")
