"""A part of a log, as it is asked for."""

from __future__ import annotations

from typing import NamedTuple

from service.client.http import ApiCaller, Params


class LogPiece(NamedTuple):
    """A part of a log, UTF-8 that may be cut anywhere; `next_offset` (bytes) asks for what follows."""

    content: bytes
    next_offset: int

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", errors="replace")


def log_piece(caller: ApiCaller, place: str, offset: int, attempt: int | None) -> LogPiece:
    """The log of an experiment or a follow-up at `place` from `offset` bytes on."""
    params: Params = {"offset": offset}
    if attempt is not None:
        params["attempt"] = attempt
    response = caller.send("GET", f"{place}/logs", params=params)
    body = response.content
    return LogPiece(body, int(response.headers.get("X-Next-Offset", offset + len(body))))
