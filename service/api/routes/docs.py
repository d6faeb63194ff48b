"""/docs without a network: Swagger UI from files of an installed package instead of a CDN."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse
from starlette.exceptions import HTTPException

router = APIRouter(include_in_schema=False)

_FILES = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css", "favicon.png": "image/png"}


@router.get("/docs")
def docs(request: Request) -> HTMLResponse:
    """The API, to read and to try out."""
    # Relative to /docs itself: right below any path of a reverse proxy.
    return get_swagger_ui_html(
        openapi_url=str(request.app.openapi_url).lstrip("/"),
        title=request.app.title,
        swagger_js_url="docs/swagger-ui-bundle.js",
        swagger_css_url="docs/swagger-ui.css",
        swagger_favicon_url="docs/favicon.png",
        swagger_ui_parameters={"tryItOutEnabled": True, "docExpansion": "list"},
    )


@router.get("/docs/{name}")
def asset(name: str) -> FileResponse:
    """One file of Swagger UI."""
    if name not in _FILES:
        raise HTTPException(404)
    return FileResponse(
        _directory() / name, media_type=_FILES[name], headers={"Cache-Control": "max-age=86400"}
    )


def _directory() -> Path:
    """Where fastapi-offline keeps the files; its code is not run."""
    found = importlib.util.find_spec("fastapi_offline")
    if found is None or found.origin is None:
        raise HTTPException(404)
    return Path(found.origin).parent / "static"
