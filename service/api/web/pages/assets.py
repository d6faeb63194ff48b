"""The files that pages load: style, scripts, icon. They are the same for everybody, and need no token."""

from __future__ import annotations

from fastapi import APIRouter, Response

from service.api.entry.sessions import STATIC
from service.api.requests import NothingThere
from service.api.web.render import static_file, static_tag

router = APIRouter()

_MEDIA = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml", "txt": "text/plain"}


@router.get(f"{STATIC}{{name}}")
def asset(name: str, v: str = "") -> Response:
    """One of them; with its digest in the address a browser may keep it for good."""
    content, media = static_file(name), _MEDIA.get(name.rpartition(".")[2])
    if content is None or media is None:
        raise NothingThere(f"there is no file {name[:100]!r}")
    lasting = "public, max-age=31536000, immutable" if v == static_tag(name) else "no-cache"
    return Response(
        content,
        headers={"Cache-Control": lasting, "X-Content-Type-Options": "nosniff"},
        media_type=f"{media}; charset=utf-8",
    )
