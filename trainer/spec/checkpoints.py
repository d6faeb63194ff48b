"""Which checkpoints of a training are kept, and which of them MLflow gets."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from trainer.base.errors import Problem
from trainer.base.strict_model import StrictModel
from trainer.spec.evaluation import ScoreName

FINAL: Final = "final"
BEST: Final = "best"
LAST: Final = "last"
CheckpointName = Literal["final", "best", "last"] | Annotated[int, Field(ge=1)]


class Checkpoints(StrictModel):
    """Which checkpoints are kept. The one to deploy, `final`, always is."""

    keep_last: int = Field(default=2, ge=1, le=100, description="So many to resume from, the newest.")
    best: ScoreName | None = Field(
        default="mIoU",
        description="The best evaluation's weights are kept, by this score of the first mode; null: not.",
    )
    track: Annotated[tuple[Literal["best", "last"], ...], Field(strict=False)] = Field(
        default=(),
        max_length=2,
        description="Those that MLflow gets beside `final`, also of runs that failed or were stopped.",
    )


def checkpoint_problems(wanted: Checkpoints) -> list[Problem]:
    """Words that ask for one thing twice, or for what the others leave out."""
    here = "/checkpoints/track"
    problems = []
    if len(set(wanted.track)) < len(wanted.track):
        problems.append(Problem(here, f"{wanted.track[0]!r} is there twice", "each word once"))
    if BEST in wanted.track and wanted.best is None:
        got = f"{BEST!r} is not kept: /checkpoints/best is null"
        problems.append(Problem(here, got, f"{LAST!r}, or a best"))
    return problems
