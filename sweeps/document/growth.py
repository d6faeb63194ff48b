"""What a sweep had before it was extended: how many values there were of each kind. Pure data."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from trainer.base.strict_model import StrictModel

_Number = Annotated[int, Field(ge=1)]


class Growth(StrictModel):
    """The size of a sweep before one extension of it; what it has beyond was appended, so numbers stay."""

    seeds: _Number | None = Field(description="How many seeds it named; null: none, so it had the base's.")
    values: Annotated[tuple[_Number, ...], Field(strict=False)] = Field(
        default=(), description="How many values each axis listed, in the order of the axes."
    )
    trials: _Number | None = Field(default=None, description="Its /limits/trials.")
