"""Server-sent events, followed over dropped connections: nothing is missed, and nothing comes twice."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from service.client.http import PATIENCE, POLL_SECONDS, ApiCaller, ApiUnreachable

_END = "end"


class Happened(NamedTuple):
    """One event of a stream."""

    id: str
    kind: str  # event, log, metrics, end
    data: Any


def follow(
    caller: ApiCaller,
    path: str,
    *,
    last: str = "",
    patience: int = PATIENCE,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Happened]:
    """What the stream at `path` sends after the event `last`, up to and with its `end`.

    Raises:
        ApiUnreachable: more than `patience` tries in a row brought nothing.
        ApiError: the service refused.
    """
    silent = 0
    while True:
        try:
            with caller.streaming("GET", path, headers={"Last-Event-ID": last} if last else {}) as pieces:
                for each in _parsed(pieces):
                    silent, last = 0, each.id
                    yield each
                    if each.kind == _END:
                        return
        except ApiUnreachable:
            silent += 1
            if silent > patience:
                raise
        sleep(POLL_SECONDS)


def _parsed(pieces: Iterator[bytes]) -> Iterator[Happened]:
    """Whole events; one that breaks off was not sent yet, as the standard says."""
    pending, fields = b"", dict[str, str]()
    for piece in pieces:
        *lines, pending = (pending + piece).split(b"\n")
        for line in lines:
            name, _, value = line.decode().partition(":")
            if line:
                fields[name] = value.removeprefix(" ")
            elif "data" in fields:
                yield Happened(fields.get("id", ""), fields.get("event", ""), json.loads(fields["data"]))
                fields = {}
