"""The service below a path of a reverse proxy: https://host/rebalance/docs."""

from __future__ import annotations

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.shared.settings import ROOT_PATH

_PREFIX = re.compile(ROOT_PATH)


class Prefix:
    """Tells the application below which path it is seen, whether or not the proxy takes that path away.

    Routes, redirects and the OpenAPI document go by ASGI's `root_path`; the Location of what was made gets
    the prefix here.
    """

    def __init__(self, app: ASGIApp, root_path: str, *, forwarded: bool) -> None:
        """`forwarded`: without a `root_path`, the header X-Forwarded-Prefix counts."""
        self._app = app
        self._root_path = root_path
        self._forwarded = forwarded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        prefix = self._prefix(scope) if scope["type"] == "http" else ""
        if not prefix:
            await self._app(scope, receive, send)
            return

        async def send_below(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                location = headers.get("location", "")
                if location.startswith("/") and not _is_below(location, prefix):
                    headers["location"] = prefix + location
            await send(message)

        await self._app(_below(scope, prefix), receive, send_below)

    def _prefix(self, scope: Scope) -> str:
        """From the setting, the header, or the server (uvicorn --root-path)."""
        if self._root_path:
            return self._root_path
        header = Headers(scope=scope).get("x-forwarded-prefix", "") if self._forwarded else ""
        given = header.strip().rstrip("/")
        return given if given and _PREFIX.fullmatch(given) else str(scope.get("root_path", ""))


def path_below(scope: Scope) -> str:
    """The path as the routes have it, without that of a reverse proxy."""
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


def _is_below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith((f"{prefix}/", f"{prefix}?"))


def _below(scope: Scope, prefix: str) -> Scope:
    """The scope as ASGI wants it: `path` is the whole path, `root_path` its beginning."""
    changed = {**scope, "root_path": prefix}
    if not _is_below(scope["path"], prefix):
        changed["path"] = prefix + scope["path"]
        changed["raw_path"] = prefix.encode() + (scope.get("raw_path") or scope["path"].encode())
    return changed
