"""A body that does not come is given up, and one that comes slowly is taken."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import pytest
from fastapi import FastAPI, Request

from service.api import problems
from service.api.bodies import body_of
from service.api.requests import BodyTooSlow
from service.local.api_server import ApiServer
from service.local.data_dir import bind
from tests.unit.service.served import until

_SECONDS = 0.01


async def _length(request: Request) -> int:
    """A route that has a body read, with less patience than ours have."""
    return len(await body_of(request, 1000, seconds=0.2))


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[socket.socket]:
    app = FastAPI()
    problems.install(app)
    app.add_api_route("/", _length, methods=["POST"])
    bound = bind("127.0.0.1", 0)
    bound.listen()
    server = ApiServer(app, bound, tmp_path / "log")
    server.start()
    try:
        with socket.create_connection(bound.getsockname(), timeout=20) as opened:
            yield opened
    finally:
        server.stop()


HEAD = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 900\r\n\r\n"


def test_byte_by_byte(connection: socket.socket) -> None:
    """408 as a problem document, and the connection is closed: what may still come is no request."""
    connection.sendall(HEAD)
    connection.settimeout(0.02)
    heard = bytearray()

    def closed() -> bool:
        try:
            connection.send(b"x")
            piece = connection.recv(65536)
        except TimeoutError:
            return False
        except OSError:
            return True
        heard.extend(piece)
        return not piece

    until(closed)
    head, _, body = bytes(heard).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in head
    assert b"connection: close" in head.lower()
    told = json.loads(body)
    assert told["type"].endswith(":body-too-slow")
    assert "bytes had come when its time was over" in told["detail"]


def test_a_body_in_time(connection: socket.socket) -> None:
    """Its time is over once it was read: the same connection takes the next one."""
    for _ in range(2):
        connection.sendall(HEAD + bytes(900))
        answer = HTTPResponse(connection)
        answer.begin()
        assert (answer.status, answer.read()) == (200, b"900")


def test_what_comes_gives_more_time() -> None:
    """A large one over a slow line: its rate is what counts, and one that stops is given up."""
    pieces = [bytes(200_000), bytes(10)]
    assert len(asyncio.run(_read(pieces, ends=True))) == 200_010
    with pytest.raises(BodyTooSlow, match="of the body 10 bytes had come when its time was over: 0 s"):
        asyncio.run(_read(pieces[1:], ends=False))


async def _read(pieces: list[bytes], *, ends: bool) -> bytes:
    """A body whose first piece is there, and whose others come once the time of a small one is over."""
    loop, left = asyncio.get_running_loop(), list(pieces)
    over = loop.time() + 2 * _SECONDS

    async def receive() -> dict[str, object]:
        while len(left) < len(pieces) and (loop.time() < over or not (left or ends)):
            await asyncio.sleep(0)
        return {
            "type": "http.request",
            "body": left.pop(0) if left else b"",
            "more_body": bool(left) or not ends,
        }

    request = Request({"type": "http", "method": "POST", "headers": []}, receive)
    return await body_of(request, 1_000_000, seconds=_SECONDS)
