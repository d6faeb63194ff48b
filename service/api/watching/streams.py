"""Server-sent events: what happens to a row, its log and its curves, as they come.

Source: the HTML standard, html.spec.whatwg.org/multipage/server-sent-events.html. Each event has an id; a
client that was cut off sends the last one as Last-Event-ID, and is given what follows. The last one is `end`.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.types import Send

from service.api.views.experiments import event_public
from service.api.watching.feed import Feed, Watch
from service.reconcile.run_directories import log_slice
from trainer.storage.directories import AttemptDir
from trainer.storage.sink import whole_record

_HEARTBEAT_TICKS = 10  # proxies cut connections off that are silent for half a minute or so
_SLOW_SECONDS = 30.0  # a client that takes nothing for so long is let go
_CHUNK_BYTES = 64 * 1024

Pieces = AsyncIterator[bytes]
News = AsyncIterator[tuple[str, str]]  # id and data of each
Attempts = Callable[[int], Iterator[AttemptDir]]  # those of the attempts 1 to N


class EventStream(StreamingResponse):
    """A stream that gives a slow client up: it comes back with Last-Event-ID, and misses nothing."""

    media_type = "text/event-stream"

    def __init__(self, pieces: Pieces) -> None:
        super().__init__(pieces, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})

    async def stream_response(self, send: Send) -> None:
        async def in_time(message: Any) -> None:
            with anyio.fail_after(_SLOW_SECONDS):
                await send(message)

        try:
            await super().stream_response(in_time)
        except TimeoutError:
            return


async def events_stream(feed: Feed, watch: Watch) -> Pieces:
    """Every event after `watch.last`, ids as in the pages of events."""

    async def look() -> News:
        for event in watch.take():
            yield str(event.id), event_public(event).model_dump_json(by_alias=True)

    async for piece in _to_the_end(feed, watch, "event", str(watch.last), look):
        yield piece


async def log_stream(feed: Feed, watch: Watch, attempts: Attempts, offset: int) -> Pieces:
    """The logs of all attempts in a row from byte `offset` on, as JSON strings; ids are where to go on."""
    at = offset

    async def look() -> News:
        nonlocal at
        piece = await run_in_threadpool(log_slice, list(attempts(watch.attempt)), at)
        async for length, text in iterate_in_threadpool(_texts(piece.chunks())):
            at += length
            yield str(at), json.dumps(text)

    async for piece in _to_the_end(feed, watch, "log", str(offset), look):
        yield piece


async def metrics_stream(feed: Feed, watch: Watch, attempts: Attempts, place: tuple[int, int]) -> Pieces:
    """Every record of metrics.jsonl from `place` on, (attempt, byte); ids are ATTEMPT:BYTE."""
    at = place

    async def look() -> News:
        nonlocal at
        found = _records(list(attempts(watch.attempt)), at)
        async for at, record in iterate_in_threadpool(found):
            yield f"{at[0]}:{at[1]}", json.dumps(record, allow_nan=False)

    async for piece in _to_the_end(feed, watch, "metrics", f"{place[0]}:{place[1]}", look):
        yield piece


async def _to_the_end(feed: Feed, watch: Watch, kind: str, last: str, look: Callable[[], News]) -> Pieces:
    """What `look` finds after each tick, as events of one kind; `end` once an ended row brings no more.

    `last` is the id that the end has where nothing came at all.
    """
    async with feed.watching(watch):
        silent = 0
        while True:
            await feed.tick()
            ended, came = watch.state.ended, False  # asked first: what is found then is all there is
            async for last, data in look():
                came = True
                yield _event(last, kind, data)
            if ended and not came:
                told = json.dumps({"state": watch.state, "attempt": watch.attempt})
                yield _event(last, "end", told)
                return
            silent = 0 if came else silent + 1
            if silent % _HEARTBEAT_TICKS == 1:
                yield _HEARTBEAT


_HEARTBEAT = b": still here\n\n"


def _event(identifier: str, kind: str, data: str) -> bytes:
    return format_sse_event(data_str=data, event=kind, id=identifier)


def _texts(chunks: Iterator[bytes]) -> Iterator[tuple[int, str]]:
    """Pieces of moderate size, each with the bytes that it stands for; no character is cut in two."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for chunk in chunks:
        for start in range(0, len(chunk), _CHUNK_BYTES):
            given = chunk[start : start + _CHUNK_BYTES]
            held = len(decoder.getstate()[0])
            text = decoder.decode(given)
            yield held + len(given) - len(decoder.getstate()[0]), text


def _records(attempts: list[AttemptDir], place: tuple[int, int]) -> Iterator[tuple[tuple[int, int], Any]]:
    """Each whole record behind `place`, with the place behind it."""
    first, offset = place
    for number, attempt in enumerate(attempts, start=1):
        if number < first:
            continue
        at = offset if number == first else 0
        for line in attempt.metrics.lines(at):
            if not line.endswith(b"\n"):
                break  # it is still being written
            at += len(line)
            record = whole_record(line)
            if record is not None:
                yield (number, at), {**record, "attempt": number}
