"""Server-sent events over a real connection: nothing is missed, nothing comes twice, and they end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pytest

from service.reconcile.reconciler import utc_now
from service.shared.states import State
from service.store.experiments import Store
from tests.unit.service.conftest import new_row
from tests.unit.service.served import Service


@dataclass
class Sent:
    """One event, as a browser's EventSource gives it."""

    id: str
    kind: str
    data: object


def _parsed(lines: Iterator[str]) -> Iterator[Sent]:
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
        elif "data" in fields:
            yield Sent(fields["id"], fields["event"], json.loads(fields["data"]))
            fields = {}


@contextmanager
def _stream(service: Service, path: str, last: str | None = None) -> Iterator[Iterator[Sent]]:
    headers = {} if last is None else {"Last-Event-ID": last}
    with httpx.stream("GET", f"{service.url}{path}", headers=headers, timeout=20) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield _parsed(answer.iter_lines())


@pytest.fixture
def store(service: Service) -> Iterator[Store]:
    opened = Store(service.settings.database)
    yield opened
    opened.close()


def _move(store: Store, identifier: str, *states: State) -> None:
    for state in states:
        store.transition(store.get(identifier), to=state, reason=f"to {state}", now=utc_now())


def test_events_come_as_they_happen_and_then_the_end(service: Service, store: Store) -> None:
    store.create(new_row("live1"), new_tags={})
    with _stream(service, "/experiments/live1/events/stream") as events:
        assert next(events).data["to"] == "queued"  # type: ignore[index]
        _move(store, "live1", State.SUBMITTED, State.RUNNING)
        assert [next(events).data["to"] for _ in range(2)] == ["submitted", "running"]  # type: ignore[index]
        _move(store, "live1", State.COMPLETED)
        rest = list(events)
    assert [each.kind for each in rest] == ["event", "end"]
    assert rest[-1].data == {"state": "completed", "attempt": 1}


def test_one_who_comes_back_is_given_what_followed(service: Service, store: Store) -> None:
    store.create(new_row("live2"), new_tags={})
    _move(store, "live2", State.SUBMITTED, State.RUNNING, State.COMPLETED)
    with _stream(service, "/experiments/live2/events/stream") as events:
        all_of_them = list(events)
    with _stream(service, "/experiments/live2/events/stream", last=all_of_them[1].id) as events:
        assert list(events) == all_of_them[2:]


def test_a_log_is_whole_however_it_is_cut(service: Service, store: Store) -> None:
    """In two goes, over two attempts, with letters of several bytes."""
    store.create(new_row("live3"), new_tags={})
    log = service.settings.layout.attempt("live3", 1).log
    log.write("grüß\n" * 20_000)
    with _stream(service, "/experiments/live3/logs/stream") as events:
        first = next(events)
    _move(store, "live3", State.SUBMITTED, State.QUEUED)
    service.settings.layout.attempt("live3", 2).log.write("zweiter λ\n")
    store.request_cancel("live3", now=utc_now())
    _move(store, "live3", State.CANCELLED)
    with _stream(service, "/experiments/live3/logs/stream", last=first.id) as events:
        rest = list(events)
    text = str(first.data) + "".join(str(each.data) for each in rest if each.kind == "log")
    assert text == "grüß\n" * 20_000 + "zweiter λ\n"
    assert rest[-1].kind == "end"


def test_curves_line_by_line(service: Service, store: Store) -> None:
    """A line that is still being written comes when it is whole."""
    store.create(new_row("live4"), new_tags={})
    metrics = service.settings.layout.attempt("live4", 1).metrics
    metrics.write('{"kind": "train", "iteration": 1}\n{"kind": "tr')
    with _stream(service, "/experiments/live4/metrics/stream") as events:
        first = next(events)
        assert first.data == {"kind": "train", "iteration": 1, "attempt": 1}
        metrics.write('{"kind": "train", "iteration": 1}\n{"kind": "train", "iteration": 2}\n')
        assert next(events).data == {"kind": "train", "iteration": 2, "attempt": 1}
    _move(store, "live4", State.SUBMITTED, State.RUNNING, State.COMPLETED)
    with _stream(service, "/experiments/live4/metrics/stream", last=first.id) as events:
        assert [each.kind for each in events] == ["metrics", "end"]


@pytest.mark.parametrize(("path", "status"), [("/experiments/none/events/stream", 404)])
def test_what_is_not_there_is_told_before_a_stream_begins(service: Service, path: str, status: int) -> None:
    assert httpx.get(service.url + path).status_code == status


@pytest.mark.parametrize("last", ["x", "-1", "1:2:3", "9" * 30])
def test_an_id_of_no_event_is_refused(service: Service, store: Store, last: str) -> None:
    if not [row for row in store.in_states(*State) if row.id == "live5"]:
        store.create(new_row("live5"), new_tags={})
    for what in ("events", "logs", "metrics"):
        answer = httpx.get(f"{service.url}/experiments/live5/{what}/stream", headers={"Last-Event-ID": last})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/headers/last-event-id"


def test_many_streams_hold_no_connection_of_the_database(service: Service, store: Store) -> None:
    """More of them than the pool has connections, while requests are answered as ever."""
    store.create(new_row("live6"), new_tags={})
    with httpx.Client(base_url=service.url, timeout=20, limits=httpx.Limits(max_connections=100)) as client:
        open_streams = [client.stream("GET", "/experiments/live6/events/stream") for _ in range(60)]
        answers = [each.__enter__() for each in open_streams]
        firsts = [next(_parsed(answer.iter_lines())) for answer in answers]
        assert {each.id for each in firsts} == {firsts[0].id}
        assert client.get("/experiments/live6").status_code == 200
        for each in open_streams:
            each.__exit__(None, None, None)
