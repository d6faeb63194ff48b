"""Streams are followed over dropped connections: nothing is missed, nothing comes twice."""

from __future__ import annotations

import httpx
import pytest

from service.client import RebalanceClient
from service.client.client import ApiError, ApiUnreachable
from service.client.streams import follow


def _client(*answers: httpx.Response | Exception, asked: list[str | None] | None = None) -> RebalanceClient:
    left = iter(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        if asked is not None:
            asked.append(request.headers.get("Last-Event-ID"))
        found = next(left)
        if isinstance(found, Exception):
            raise found
        return found

    return RebalanceClient("http://127.0.0.1:1", transport=httpx.MockTransport(answer))


def _event(identifier: str, kind: str, data: str) -> str:
    return f"event: {kind}\ndata: {data}\nid: {identifier}\n\n"


def _sent(*events: str) -> httpx.Response:
    return httpx.Response(200, text="".join(events))


def test_a_dropped_connection_is_made_up_for() -> None:
    """The half of an event at its end was not sent; the next connection goes on behind the last whole one."""
    asked: list[str | None] = []
    first = _sent(_event("1", "log", '"a"'), ": still here\n\n", 'event: log\ndata: "b')
    rest = _sent(_event("2", "log", '"b"'), _event("2", "end", "{}"))
    client = _client(first, httpx.ConnectError("away"), rest, asked=asked)
    found = list(follow(client, "/x", sleep=lambda _: None))
    assert [each.data for each in found] == ["a", "b", {}]
    assert asked == [None, "1", "1"]


def test_a_service_that_stays_away_is_told() -> None:
    client = _client(*[httpx.ConnectError("away")] * 3)
    with pytest.raises(ApiUnreachable):
        list(follow(client, "/x", patience=2, sleep=lambda _: None))


def test_a_refusal_is_not_asked_again() -> None:
    asked: list[str | None] = []
    with pytest.raises(ApiError):
        list(follow(_client(httpx.Response(404), asked=asked), "/x", sleep=lambda _: None))
    assert len(asked) == 1
