"""What the API answers about what a spec can name: data sets, models, methods, recipes."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from service.shared.schemas import Public


class CatalogueItem(Public):
    """One data set, model or method a spec can name."""

    name: str
    title: str
    description: str
    json_schema: dict[str, Any] = Field(alias="schema", description="JSON schema of its parameters.")
    source: str | None = None
    licence: str | None = None
    classes: tuple[str, ...] | None = Field(
        default=None, description="Null where the data's own list decides."
    )
    schedules: dict[str, dict[str, Any]] | None = Field(
        default=None, description="Default schedule by data set; the empty name is for all others."
    )


class RecipePublic(Public):
    """One row of one of the paper's tables, as a training."""

    name: str = Field(description="As a spec's `recipe` has it.")
    table: str
    head: str
    backbone: str
    dataset: str
    paper: dict[str, dict[str, float]] = Field(
        description="The paper's mIoU in percent: `baseline` and `region_rebalance`, each `ss` and `ms`."
    )
    mmseg: dict[str, Any] | None = Field(
        description="mmsegmentation's own, `ss` and `ms`, with a `note` where its training is not the row's."
    )
    spec: dict[str, Any] = Field(
        description="What is stored for it on a cluster of one GPU, with the baseline."
    )
    parameters: int = Field(description="With these classes and auxiliary heads, without the region branch.")
    config: str = Field(description="mmsegmentation's file, below its `configs`.")
    differences: tuple[dict[str, Any], ...] = Field(
        description="From that file: `field`, `file`, `recipe` and `why`."
    )
    weights: dict[str, Any] = Field(
        description="`name`, `urls`, and `sha256`: the digits that it begins with."
    )
    variants: dict[str, dict[str, Any]] = Field(
        description="Schedule fields that each variant has otherwise."
    )


class ShippedPublic(Public):
    """One of mmsegmentation's configurations."""

    name: str = Field(description='As a spec\'s model has it: `{"mmseg": NAME}`.')
    head: str
    backbone: str
    dataset: str = Field(description="That it trains on as it is shipped.")
    num_classes: int | None
    parameters: int | None = Field(
        description="With these classes and auxiliary heads; null where not counted."
    )
    mIoU: float | None = Field(description="Published, in percent.")
    mIoU_ms: float | None = Field(description="Of several scales and mirrored.")
    pretrained: str | None = Field(description="Name of the weights that it begins with.")
    unusable: str | None = Field(description="Why it cannot be trained here; null where it can.")
    untranslated: tuple[str, ...] = Field(
        description="What its file has that a spec's words do not say, and where its batch size is from."
    )
