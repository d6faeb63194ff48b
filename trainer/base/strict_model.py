"""The base of every document that comes from or goes to a client."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class StrictModel(BaseModel):
    """Immutable; no unknown fields, no silent conversion ("3" is not 3), no NaN."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        serialize_by_alias=True,
    )


def all_optional(schema: dict[str, Any]) -> None:
    """For `json_schema_extra`: what is filled in, though the model requires it, need not be sent."""
    schema.pop("required", None)
