"""Files of the storage as answers: streamed as they are now, whole or the range asked for (RFC 9110)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from fastapi import Header
from fastapi.responses import Response, StreamingResponse

from service.api.problems import documented, problem
from service.api.requests import NothingThere
from trainer.storage.port import StoredFile
from trainer.storage.weights import digest_of

_CHUNK_BYTES = 1 << 20
_RANGE = re.compile(r"bytes=(?P<first>\d{0,18})-(?P<last>\d{0,18})")
_TEXT = {"schema": {"type": "string"}}
_TOLD = {
    "ETag": {"description": "Of this very content.", **_TEXT, "required": True},
    "Accept-Ranges": {**_TEXT, "required": True},
}

RangeHeader = Annotated[str, Header(alias="Range", description="One range of bytes: bytes=0-1023.")]
IfRangeHeader = Annotated[str, Header(alias="If-Range", description="Of a file with another ETag: all.")]


def download_answers(media: str) -> dict[int | str, dict[str, Any]]:
    """What a route that answers by `download` may say, for OpenAPI."""
    content = {media: {"schema": {"type": "string", "format": "binary"}}}
    part = {"Content-Range": {**_TEXT, "required": True}, **_TOLD}
    return {
        200: {"content": content, "headers": _TOLD},
        206: {"description": "The range", "content": content, "headers": part},
        **documented(HTTPStatus.NOT_FOUND, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE),
    }


def download(
    file: StoredFile, media: str, *, asked: str = "", if_range: str = "", name: str | None = None
) -> Response:
    """The file as it is now, or a range of it; what becomes of it meanwhile changes nothing.

    Args:
        asked: the Range header. One that is no single range of bytes asks for all, as the standard says.
        if_range: the If-Range header: the range only of the file with this ETag.
        name: under which a browser keeps it.

    Raises:
        NothingThere: there is no such file.
    """
    try:
        stream, tag = _opened(file)
    except (FileNotFoundError, IsADirectoryError):
        raise NothingThere(f"there is no {file.name} any more") from None
    size = stream.seek(0, os.SEEK_END)
    headers = {"ETag": tag, "Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff"}
    if name is not None:
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    part = None if if_range not in ("", tag) else _part(asked, size)
    if part is None:
        return _stream(stream, 0, size, media, headers)
    if not part:
        stream.close()
        return _beyond(asked, size)
    headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    return _stream(stream, part.start, part.stop, media, headers, HTTPStatus.PARTIAL_CONTENT)


def _opened(file: StoredFile) -> tuple[BinaryIO, str]:
    """The file, and the ETag of what is read of it: of one that is replaced just now never the other's."""
    while True:
        tag = _tag(file)
        stream = file.reading()
        if _tag(file) == tag:
            return stream, tag
        stream.close()


def _tag(file: StoredFile) -> str:
    return f'"{file.size():x}-{file.modified_ns() or 0:x}"'


def sha256_of(file: StoredFile) -> str:
    """64 hexadecimal digits; read again only where the file was changed."""
    return _digest(file.local, file.size(), file.modified_ns())


@lru_cache(maxsize=4096)
def _digest(path: Path, size: int, changed: int | None) -> str:
    del size, changed  # other content
    return digest_of(path)[0]


def _part(asked: str, size: int) -> range | None:
    """The bytes of one range, none where it lies beyond the end; None where all are asked for."""
    found = _RANGE.fullmatch(asked.strip().replace(" ", ""))
    if found is None or not (found["first"] or found["last"]):
        return None
    if not found["first"]:  # so many from the end
        return range(max(0, size - int(found["last"])), size)
    first = int(found["first"])
    last = int(found["last"]) if found["last"] else max(first, size)
    return None if last < first else range(min(first, size), min(last + 1, size))


def _beyond(asked: str, size: int) -> Response:
    status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    told = f"Range: {asked[:80]!r} lies beyond the end; allowed: bytes of 0 to {size - 1}"
    answer = problem(status, "No such range", told, kind="range-beyond")
    answer.headers["Content-Range"] = f"bytes */{size}"
    return answer


def _stream(
    stream: BinaryIO,
    start: int,
    stop: int,
    media: str,
    headers: dict[str, str],
    status: HTTPStatus = HTTPStatus.OK,
) -> Response:
    told = {**headers, "Content-Length": str(stop - start)}
    return StreamingResponse(_chunks(stream, start, stop), int(status), told, media)


def _chunks(stream: BinaryIO, start: int, stop: int) -> Iterator[bytes]:
    with closing(stream):
        stream.seek(start)
        while start < stop and (chunk := stream.read(min(_CHUNK_BYTES, stop - start))):
            start += len(chunk)
            yield chunk
