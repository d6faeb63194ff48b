"""A connection that comes to no request is let go; what `uvicorn_compat.py` builds on is there."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from urllib.parse import urlsplit

import pytest

from service.client import RebalanceClient
from service.local.uvicorn_compat import TimedProtocol
from tests.data_factories import spec_document
from tests.unit.service.served import Service, until

HEAD = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@contextmanager
def connected(service: Service) -> Iterator[socket.socket]:
    where = urlsplit(service.url)
    with socket.create_connection((where.hostname, where.port), timeout=20) as opened:
        yield opened


@pytest.fixture
def connection(service: Service, little_time: None) -> Iterator[socket.socket]:
    with connected(service) as opened:
        yield opened


@pytest.fixture
def little_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TimedProtocol, "head_seconds", 0.5)


def trickled(connection: socket.socket, text: bytes) -> bytes:
    """What the service says to bytes that come one by one, until it closes; fails where it does not."""
    connection.settimeout(0.02)
    heard, left = bytearray(), iter(text)

    def closed() -> bool:
        try:
            connection.send(bytes([next(left, 120)]))
            piece = connection.recv(65536)
        except TimeoutError:
            return False
        except OSError:
            return True
        heard.extend(piece)
        return not piece

    until(closed)
    return bytes(heard)


def _answered(connection: socket.socket) -> None:
    answer = HTTPResponse(connection)
    answer.begin()
    assert (answer.status, answer.read() != b"") == (200, True)


def test_who_says_nothing_is_let_go(connection: socket.socket) -> None:
    assert connection.recv(1) == b""


def test_a_head_that_comes_byte_by_byte(connection: socket.socket) -> None:
    """Each byte is news, and none gives more time."""
    assert trickled(connection, HEAD + b"X-Long: ") == b""


def test_a_second_head_on_the_same_connection(connection: socket.socket) -> None:
    """Whole requests are answered one after the other; the slow one after them has its time alone."""
    for _ in range(3):
        connection.sendall(HEAD + b"\r\n")
        _answered(connection)
    assert trickled(connection, HEAD + b"X-Long: ") == b""


def test_a_body_that_nobody_reads(connection: socket.socket) -> None:
    """It was answered long before its end."""
    connection.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
    _answered(connection)
    assert trickled(connection, b"") == b""


def test_a_stream_is_not_cut(service: Service, little_time: None) -> None:
    """It lasts as long as somebody listens: its first sign of life comes long after the time for a head."""
    with RebalanceClient(service.url) as client:
        where = f"/experiments/{client.submit(spec_document()).id}/events/stream"
    with connected(service) as connection:
        connection.sendall(HEAD.replace(b"/healthz", where.encode()) + b"\r\n")
        heard = bytearray()
        until(lambda: heard.extend(connection.recv(65536)) or b": still here" in heard)
