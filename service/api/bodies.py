"""The bodies that routes read by themselves: what they may be, how large; and back as they came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel

from service.api.dependencies import SettingsDep
from service.api.requests import BODY_LIMIT_BYTES, BodyTooLarge, BodyTooSlow, NotJson, NotPicture
from service.store.records import JobRow, NothingSent

PICTURES = ("image/png", "image/jpeg")
_DRAIN_BYTES = 8 * BODY_LIMIT_BYTES  # beyond the limit
_SECONDS = 30.0  # for a body, however small
_SLOWEST_BYTES_PER_SECOND = 10_000  # of a large one: a picture over a telephone's worst connection comes


async def _json_body(request: Request) -> bytes:
    """The body, if it is declared as JSON and below the limit; never more than that is kept."""
    kind = declared_type(request)
    # A web page elsewhere can make a browser send forms and plain text here unasked, but not JSON.
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise NotJson(kind)
    return await body_of(request, BODY_LIMIT_BYTES)


async def _picture_body(request: Request, settings: SettingsDep) -> bytes:
    """The same of a picture, which may be larger."""
    kind = declared_type(request)
    if kind not in PICTURES:
        raise NotPicture(kind)
    return await body_of(request, settings.max_picture_bytes)


def declared_type(request: Request) -> str:
    """The media type that the body is declared as, in lower case, without parameters; empty for none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def body_of(request: Request, limit: int, *, seconds: float = _SECONDS) -> bytes:
    """The body, if it is smaller than `limit` bytes; never more than that is kept.

    Raises:
        BodyTooLarge: it is not.
        BodyTooSlow: it had not come after `seconds`, and those more in which what did come may have.
    """
    declared = request.headers.get("content-length", "")
    too_large = declared.isdigit() and int(declared) >= limit
    if too_large and int(declared) > limit + _DRAIN_BYTES:
        raise BodyTooLarge(limit)
    kept, received = bytearray(), 0
    async for chunk in _in_time(request, seconds):
        received += len(chunk)
        too_large = too_large or received >= limit
        if received > limit + _DRAIN_BYTES:
            break
        # A client that is cut off while it sends often never sees the answer: take the rest, keep nothing.
        if not too_large:
            kept += chunk
    if too_large:
        raise BodyTooLarge(limit)
    return bytes(kept)


async def _in_time(request: Request, seconds: float) -> AsyncIterator[bytes]:
    """The body in pieces. Raises BodyTooSlow: byte by byte it would hold its connection for ever."""
    received, until = 0, asyncio.get_running_loop().time() + seconds
    pieces = request.stream()
    try:
        while True:
            async with asyncio.timeout_at(until + received / _SLOWEST_BYTES_PER_SECOND):
                piece = await anext(pieces)
            received += len(piece)
            yield piece
    except StopAsyncIteration:
        return
    except TimeoutError:
        raise BodyTooSlow(received, seconds) from None


def as_it_came(row: JobRow) -> Response:
    """The document that `row` was made from. Raises NothingSent where there is none."""
    if row.sent is None:
        raise NothingSent(f"{row.id} was made by the service, or before documents were kept as they came")
    return Response(row.sent, media_type="application/json")


SENT: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {}}, "description": "As it came."}
}


def json_body(model: type[BaseModel], examples: Mapping[str, tuple[str, Any]]) -> dict[str, Any]:
    """What `JsonBodyDep` reads, for OpenAPI: a `model`, with examples as (summary, value) by name."""
    shown = {name: {"summary": summary, "value": value} for name, (summary, value) in examples.items()}
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    content = {"application/json": {"schema": schema, "examples": shown}}
    return {"requestBody": {"required": True, "content": content}}


PICTURE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {media: {"schema": {"type": "string", "format": "binary"}} for media in PICTURES},
    }
}

JsonBodyDep = Annotated[bytes, Depends(_json_body)]
PictureBodyDep = Annotated[bytes, Depends(_picture_body)]
