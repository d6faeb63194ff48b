"""What a training goes on from, how its learning rate goes from there, and the rate of each step."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from trainer.base.strict_model import StrictModel
from trainer.spec.schedule import Schedule

Rate = Literal["rescaled", "constant", "rewarmed"]
_LAST_SHARE = 10  # the rate that is held is the mean over one in so many steps: the last ones


class Continues(StrictModel):
    """Which experiment a training goes on from, and how its learning rate goes from there."""

    experiment: Annotated[str, Field(min_length=1, max_length=64)] = Field(description="Its id.")
    iteration: int = Field(ge=1, description="Of the checkpoint: so many steps are done.")
    spec_hash: str = Field(
        min_length=64,
        max_length=64,
        pattern="^[0-9a-f]*$",
        description="Of the spec that the checkpoint was written by.",
    )
    rate: Rate
    held: float | None = Field(
        default=None,
        gt=0,
        le=1,
        exclude_if=lambda value: value is None,
        description="With `constant`: the share of the learning rate that is held.",
    )

    def __str__(self) -> str:
        """`continues 1a2b from iteration 1000, rate rescaled`, for people."""
        return f"continues {self.experiment} from iteration {self.iteration}, rate {self.rate}"


def stretch(schedule: Schedule, continues: Continues | None) -> tuple[int, int]:
    """The steps, counted from 0, at which the schedule begins and its warm-up ends."""
    begin = continues.iteration if continues is not None and continues.rate == "rewarmed" else 0
    return begin, begin + min(schedule.warmup_iterations, schedule.iterations - begin - 1)


def share_at(step: int, schedule: Schedule, continues: Continues | None = None) -> float:
    """The share of the schedule's learning rate that a step, counted from 0, is taken with.

    As mmengine's LinearLR and PolyLR have it, of which `trainer.mmseg_adapter.config` renders the schedule:
    the last step of a training is taken with the lowest rate.
    """
    if continues is not None and continues.held is not None:
        return continues.held
    begin, warmup_end = stretch(schedule, continues)
    start, top = schedule.warmup_factor, 1.0
    if warmup_end - begin == 1:
        top = start  # a ramp of one step has no end
    if step < warmup_end:
        steps = warmup_end - begin - 1
        return start + (1 - start) * (step - begin) / steps if steps else start
    steps = schedule.iterations - warmup_end - 1
    left = (steps - (step - warmup_end)) / steps if steps else 1.0
    lowest = schedule.min_learning_rate / schedule.learning_rate
    return float((top - lowest) * left**schedule.power + lowest)


def share_to_hold(steps: int, schedule: Schedule, continues: Continues | None = None) -> float:
    """What `constant` holds after so many steps: the mean share over the last tenth, two steps at least.

    The last step's own is the schedule's lowest, which mostly is 0: nothing would be learned by it. Of a
    schedule that does not decay it is exactly 1.
    """
    last = range(max(0, steps - max(2, math.ceil(steps / _LAST_SHARE))), steps)
    return min(1.0, math.fsum(share_at(step, schedule, continues) for step in last) / len(last))
