"""One hostile request, as bytes: no client library makes it better than it is."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.data_factories import spec_document

LIMIT_SECONDS = 60.0  # a busy machine; what it may cost is asked of the processor's clock
SECRET = "hunter2-hunter2-hunter2"


@dataclass(frozen=True)
class Hostile:
    """What is sent, and how it is refused.

    `path` may hold {trained}, an experiment with weights. `pointer`: of one of its problems; None where there
    is no document to point into. `told` are words of the answer.
    """

    body: Callable[[], bytes] = bytes
    path: str = "/experiments"
    method: str = "POST"
    status: int = 422
    pointer: str | None = None
    told: str = ""
    kind: str = "application/json"
    headers: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def problem(self) -> dict[str, Any]:
        """The problem document."""
        assert self.headers["content-type"] == "application/problem+json", self.body[:200]
        found: dict[str, Any] = json.loads(self.body)
        return found


def spec(**changes: Any) -> Callable[[], bytes]:
    """An experiment's document, right but for the `changes`."""
    return lambda: json.dumps(spec_document(**changes)).encode()


def sweep(**changes: Any) -> Callable[[], bytes]:
    """A sweep's."""
    document = {"base": spec_document(), "seeds": [0], **changes}
    return lambda: json.dumps(document).encode()


def text(words: str | bytes) -> Callable[[], bytes]:
    """Bytes as they stand."""
    return lambda: words.encode() if isinstance(words, str) else words


def exchange(url: str, case: Hostile, content: bytes, *, trained: str) -> Answer:
    """Sends it with its body in a connection of its own, and reads the answer to its end."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    lines = [
        f"{case.method} {case.path.replace('{trained}', trained)} HTTP/1.1".encode(),
        f"Host: {parts.netloc}".encode(),
        b"Connection: close",
        *([b"Content-Type: " + case.kind.encode()] if case.kind else []),
        f"Content-Length: {len(content)}".encode(),
        *case.headers,
    ]
    with socket.create_connection((parts.hostname, parts.port or 80), LIMIT_SECONDS) as connection:
        connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + content)
        response = http.client.HTTPResponse(connection, method=case.method)
        response.begin()
        return Answer(response.status, response.headers, response.read())
