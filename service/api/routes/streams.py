"""…/events/stream, …/logs/stream, …/metrics/stream: the same as the pages beside them, as it comes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request

from service.api.dependencies import SettingsDep, StoreDep
from service.api.problems import documented
from service.api.requests import BadParameter
from service.api.watching.feed import Feed, Watch
from service.api.watching.streams import EventStream, events_stream, log_stream, metrics_stream
from service.shared.settings import Settings
from service.store.queue.lines import Kind
from service.store.records import Followup, JobRow
from service.store.rows import Rows
from trainer.base.errors import Problem
from trainer.storage.directories import AttemptDir

router = APIRouter()

# Of a stream a document describes each event.
_ONE = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("event", "id", "data")},
    "required": ["event", "id", "data"],
}
_STREAM: dict[str, Any] = {
    "response_class": EventStream,
    "status_code": HTTPStatus.OK,  # which FastAPI looks for in the class, and does not find in this one
    "responses": {
        200: {"content": {"text/event-stream": {"schema": _ONE}}},
        **documented(HTTPStatus.NOT_FOUND),
    },
}
_MOST = 2**62


async def _feed(request: Request) -> Feed:
    feed: Feed = request.app.state.feed
    return feed


FeedDep = Annotated[Feed, Depends(_feed)]
LastEvent = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID", max_length=60, description="Of the last event that came: to go on behind it."
    ),
]


@router.get("/experiments/{experiment_id}/events/stream", tags=["experiments"], **_STREAM)
def events_of_experiment(
    experiment_id: str, store: StoreDep, feed: FeedDep, last: LastEvent = None
) -> EventStream:
    """Its events as server-sent events, oldest first, until it has ended: then `end`."""
    return _events(store, "experiment", experiment_id, feed, last)


@router.get("/sweeps/{sweep_id}/events/stream", tags=["sweeps"], **_STREAM)
def events_of_sweep(sweep_id: str, store: StoreDep, feed: FeedDep, last: LastEvent = None) -> EventStream:
    """The sweep's own events, until it has ended: then `end`."""
    return _events(store.sweeps, "sweep", sweep_id, feed, last)


@router.get("/followups/{followup_id}/events/stream", tags=["follow-ups"], **_STREAM)
def events_of_followup(
    followup_id: str, store: StoreDep, feed: FeedDep, last: LastEvent = None
) -> EventStream:
    """The follow-up's events, until it has ended: then `end`."""
    return _events(store.followups, "followup", followup_id, feed, last)


@router.get("/experiments/{experiment_id}/logs/stream", tags=["experiments"], **_STREAM)
def log_of_experiment(
    experiment_id: str, store: StoreDep, settings: SettingsDep, feed: FeedDep, last: LastEvent = None
) -> EventStream:
    """The job's log as it is written, in pieces that are JSON strings; ids are offsets in bytes."""
    row = store.get(experiment_id)
    watch = _watch("experiment", row, 0)
    return EventStream(log_stream(feed, watch, _attempts(settings, row.id), _number(last)))


@router.get("/followups/{followup_id}/logs/stream", tags=["follow-ups"], **_STREAM)
def log_of_followup(
    followup_id: str, store: StoreDep, settings: SettingsDep, feed: FeedDep, last: LastEvent = None
) -> EventStream:
    """The same of a follow-up's job."""
    row = store.followups.get(followup_id)
    attempts = _attempts_of_followup(settings, row)
    return EventStream(log_stream(feed, _watch("followup", row, 0), attempts, _number(last)))


@router.get("/experiments/{experiment_id}/metrics/stream", tags=["experiments"], **_STREAM)
def metrics_of_experiment(
    experiment_id: str, store: StoreDep, settings: SettingsDep, feed: FeedDep, last: LastEvent = None
) -> EventStream:
    """Its curves as they are measured, one record an event; ids are ATTEMPT:BYTE."""
    row = store.get(experiment_id)
    watch = _watch("experiment", row, 0)
    return EventStream(metrics_stream(feed, watch, _attempts(settings, row.id), _place(last)))


def _events(rows: Rows[Any], kind: Kind, identifier: str, feed: Feed, last: str | None) -> EventStream:
    return EventStream(events_stream(feed, _watch(kind, rows.get(identifier), _number(last))))


def _watch(kind: Kind, row: JobRow, last: int) -> Watch:
    return Watch(kind, row.id, last, row.state, row.attempt)


def _attempts(settings: Settings, experiment: str) -> Callable[[int], Iterator[AttemptDir]]:
    return lambda newest: (settings.layout.attempt(experiment, n) for n in range(1, newest + 1))


def _attempts_of_followup(settings: Settings, row: Followup) -> Callable[[int], Iterator[AttemptDir]]:
    here = settings.layout.followup(row.experiment_id, row.id)
    return lambda newest: (here.attempt(n) for n in range(1, newest + 1))


def _number(last: str | None) -> int:
    """Raises BadParameter."""
    if not last:
        return 0
    if re.fullmatch(r"[0-9]{1,19}", last, re.ASCII) is None or int(last) > _MOST:
        raise _refused(last, "the id of an event of this stream, a number")
    return int(last)


def _place(last: str | None) -> tuple[int, int]:
    """Raises BadParameter."""
    if not last:
        return 1, 0
    attempt, colon, byte = last.partition(":")
    if not colon:
        raise _refused(last, "the id of an event of this stream, ATTEMPT:BYTE")
    return _number(attempt or "-"), _number(byte or "-")


def _refused(last: str, allowed: str) -> BadParameter:
    return BadParameter((Problem("/headers/last-event-id", f"{last!r} is none", allowed),))
