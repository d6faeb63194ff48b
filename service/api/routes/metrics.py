"""/metrics: figures for Prometheus. Where tokens are asked for, a viewer's."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from service.api.watching.metrics import CONTENT_TYPE, Metrics

router = APIRouter(tags=["health"])

_TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}


@router.get("/metrics", response_class=Response, responses=_TEXT)
def metrics(request: Request) -> Response:
    """Requests, what is stored by state, the reconciler and the parts, in Prometheus' text format."""
    figures: Metrics = request.app.state.metrics
    return Response(figures.text(), media_type=CONTENT_TYPE)
