"""The parts of the OpenAPI document that the framework cannot see: the bodies we read ourselves."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pydantic import BaseModel

_REFERENCE = "#/components/schemas/{model}"


def add_schemas(document: dict[str, Any], *models: type[BaseModel]) -> dict[str, Any]:
    """`document` with the JSON schema of each model, and of all it refers to, among its components."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for model in models:
        schema = model.model_json_schema(by_alias=True, mode="validation", ref_template=_REFERENCE)
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    return document


def add_bearer(document: dict[str, Any], *, without: Collection[str]) -> dict[str, Any]:
    """`document`, which says that every path but those `without` needs a token."""
    schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
    schemes["token"] = {"type": "http", "scheme": "bearer"}
    document["security"] = [{"token": []}]
    for path in without:
        for operation in document["paths"][path].values():
            operation["security"] = []
    return document
