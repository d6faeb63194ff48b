"""How pictures are changed before a model sees them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from trainer.base.strict_model import StrictModel, all_optional

Edge = Annotated[int, Field(ge=16, le=16_384)]
Base = Literal["native"] | Annotated[tuple[Edge, Edge], Field(strict=False)]
Ratio = Annotated[float, Field(ge=0.1, le=10)]
NATIVE: Literal["native"] = "native"


class Augmentation(StrictModel):
    """What is done to pictures, in this order. Fields left out come from the data set."""

    model_config = ConfigDict(json_schema_extra=all_optional)

    max_shift: int = Field(ge=0, le=256, description="Moved by up to so many pixels each way.")
    resize_base: Base = Field(
        description="What the jitter multiplies: the picture's own size, or the largest that fits in "
        "[long side, short side], its aspect kept."
    )
    jitter: Annotated[tuple[Ratio, Ratio], Field(strict=False)] = Field(
        description="Smallest and largest factor of the size."
    )
    cat_max_ratio: float = Field(
        gt=0, le=1, description="No class fills more of a crop, if ten tries can help it."
    )
    flip: float = Field(ge=0, le=1, description="Probability of mirroring left and right.")
    photometric: bool = Field(description="Brightness, contrast, saturation and hue are varied.")
    test_size: Base = Field(description="Size at which pictures are scored, as `resize_base`.")


def fitted(size: tuple[int, int], base: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of a picture of `size` = (height, width), resized to fit in `base`, its aspect kept.

    Source: mmcv's `rescale_size`.
    """
    factor = min(max(base) / max(size), min(base) / min(size))
    return int(size[0] * factor + 0.5), int(size[1] * factor + 0.5)
