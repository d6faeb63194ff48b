"""What we use of FastAPI that its documentation does not promise: seen in 0.165, held by a test.

Where FastAPI moves it, `tests/unit/service/api/test_fastapi_compat.py` says so.
"""

from __future__ import annotations

from fastapi import Request
from pydantic import BaseModel


def query_parameters(request: Request) -> list[str]:
    """The names of all query parameters that the request's route takes, those of a model one by one.

    FastAPI can refuse unknown ones only where a route takes a single model.
    """
    names: list[str] = []
    for field in request.scope["route"].dependant.query_params:
        described = field.field_info.annotation
        if isinstance(described, type) and issubclass(described, BaseModel):
            names += described.model_fields
        else:
            names.append(field.alias)
    return names
