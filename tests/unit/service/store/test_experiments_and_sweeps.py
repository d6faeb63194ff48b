"""The store: compare-and-set transitions, idempotent creation, pages."""

from __future__ import annotations

import itertools
import threading
from datetime import timedelta
from typing import Any

import pytest

from service.shared.settings import Settings
from service.shared.states import TRANSITIONS, State
from service.store.experiments import Store
from service.store.records import (
    BadCursor,
    Conflict,
    Cursor,
    Filters,
    Outcome,
    SchemaRefused,
    UnknownExperiment,
)
from tests.data_factories import make_spec
from tests.unit.service.conftest import START, World, new_row

LATER = START + timedelta(seconds=1)


@pytest.mark.parametrize(("source", "target"), list(itertools.product(State, State)))
def test_transition_walks_the_table_and_nothing_else(world: World, source: State, target: State) -> None:
    """A step in the table moves the row and writes one event; any other is a Conflict without a trace."""
    wished = START if target is State.PAUSED else None  # it rests only while that is wanted
    row = world.add(state=source, pause_requested_at=wished)
    if target in TRANSITIONS[source]:
        moved = world.store.transition(row, to=target, reason="because", now=LATER)
        assert moved.state is target
        events, _ = world.store.history("e1", after=0, limit=10)
        last = events[-1]
        assert (last.from_state, last.to_state, last.reason, last.at) == (source, target, "because", LATER)
    else:
        with pytest.raises(Conflict):
            world.store.transition(row, to=target, reason="because", now=LATER)
        assert world.store.get("e1") == row
        assert len(world.reasons()) == 1


def test_transition_of_an_older_attempt_conflicts(world: World) -> None:
    """News of attempt 1 cannot move attempt 2."""
    row = world.add(state=State.SUBMITTED)
    world.store.transition(row, to=State.QUEUED, reason="lost", now=LATER)
    second = world.store.get("e1")
    assert second.attempt == 2
    world.store.transition(second, to=State.SUBMITTED, reason="again", now=LATER)
    with pytest.raises(Conflict):
        world.store.transition(row, to=State.FAILED, reason="late news", now=LATER)


def test_of_two_racing_transitions_one_wins(world: World) -> None:
    """Eight threads try the same step: one event, seven conflicts, no lock error."""
    row = world.add(state=State.SUBMITTED)
    results: list[str] = []
    barrier = threading.Barrier(8)

    def attempt() -> None:
        barrier.wait(10)
        try:
            world.store.transition(row, to=State.COMPLETED, reason="report", now=LATER)
            results.append("won")
        except Conflict:
            results.append("lost")

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(results) == ["lost"] * 7 + ["won"]
    assert world.reasons() == ["stored", "report"]


def test_transition_keeps_times_and_outcome(world: World) -> None:
    """started_at is of the first attempt, ended_at of the end; the outcome's fields land in the row."""
    row = world.add(state=State.SUBMITTED)
    row = world.store.transition(row, to=State.RUNNING, reason="seen", now=LATER)
    row = world.store.transition(row, to=State.QUEUED, reason="lost", now=LATER)
    row = world.store.transition(row, to=State.SUBMITTED, reason="again", now=LATER)
    row = world.store.transition(row, to=State.RUNNING, reason="seen", now=LATER + timedelta(hours=1))
    outcome = Outcome(error_type="DataError", error_message="bad", mlflow_status_due="FAILED")
    end = LATER + timedelta(hours=2)
    row = world.store.transition(row, to=State.FAILED, reason="report", now=end, outcome=outcome)
    assert (row.started_at, row.ended_at) == (LATER, end)
    assert (row.error_type, row.error_message, row.mlflow_status_due) == ("DataError", "bad", "FAILED")


def test_rows_survive_the_store(world: World, settings: Settings) -> None:
    """Another store on the same file reads the same row, times aware and in UTC."""
    row = world.add(headline={"mIoU": 12.5, "mAcc": None})
    other = Store(settings.database)
    assert other.get("e1") == row
    assert other.get("e1").created_at.utcoffset() == timedelta(0)
    other.close()


def test_key_taken_gives_the_earlier_experiment(world: World) -> None:
    """The second row under a key is not stored; the first comes back."""
    first = world.store.create(new_row("a", idempotency_key="k", request_hash="1"), new_tags={})
    second = world.store.create(new_row("b", idempotency_key="k", request_hash="2"), new_tags={"t": "1"})
    assert second == first
    with pytest.raises(UnknownExperiment):
        world.store.get("b")


def test_racing_creations_under_one_key_store_one(world: World) -> None:
    """Eight threads create under one key: all get the same experiment, and there is one."""
    found: list[str] = []
    barrier = threading.Barrier(8)

    def create(number: int) -> None:
        barrier.wait(10)
        row = new_row(f"e{number}", idempotency_key="k", request_hash="1")
        found.append(world.store.create(row, new_tags={}).id)

    threads = [threading.Thread(target=create, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(world.store.page(Filters(), cursor=None, limit=50)[0]) == 1


def test_pages_give_everything_once_newest_first(world: World) -> None:
    """Walking the cursors visits every row once, also where times are equal."""
    for number in range(7):
        world.add(f"e{number}", created_at=START + timedelta(seconds=number // 3))
    listed: list[str] = []
    cursor = None
    while True:
        rows, cursor = world.store.page(Filters(), cursor=cursor, limit=2)
        listed += [row.id for row in rows]
        if cursor is None:
            break
    assert listed == ["e6", "e5", "e4", "e3", "e2", "e1", "e0"]


@pytest.mark.parametrize("cursor", ["", "x", "!!!", "e30=", "MjAyNi0wMS0wMiBl", "é"])
def test_cursor_from_elsewhere_is_refused(cursor: str) -> None:
    """Only what `encode` made decodes."""
    with pytest.raises(BadCursor):
        Cursor.decode(cursor)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(), {"a", "b", "c"}),
        (Filters(states=[State.QUEUED]), {"a", "b"}),
        (Filters(states=[State.QUEUED, State.RUNNING]), {"a", "b", "c"}),
        (Filters(methods=["dice"]), {"b"}),
        (Filters(datasets=["digit_scenes"], methods=["baseline"]), {"a", "c"}),
        (Filters(tags=[("team", None)]), {"a", "b"}),
        (Filters(tags=[("team", "x")]), {"a"}),
        (Filters(tags=[("team", "x"), ("night", None)]), set()),
        (Filters(datasets=["camvid"]), set()),
    ],
)
def test_filters(world: World, filters: Filters, expected: set[str]) -> None:
    """Each filter narrows, several hold together."""
    world.store.create(new_row("a"), new_tags={"team": "x"})
    world.store.create(new_row("b", make_spec(method="dice")), new_tags={"team": "y", "night": ""})
    world.store.create(new_row("c", state=State.RUNNING), new_tags={})
    assert {row.id for row in world.store.page(filters, cursor=None, limit=10)[0]} == expected


def test_cancel_is_a_wish_with_the_first_time(world: World) -> None:
    """Asking twice keeps the first time and moves no state; an ended experiment conflicts."""
    row = world.add()
    first = world.store.request_cancel("e1", now=LATER)
    again = world.store.request_cancel("e1", now=LATER + timedelta(seconds=9))
    assert first.cancel_requested_at == again.cancel_requested_at == LATER
    assert again.state is State.QUEUED
    world.store.transition(row, to=State.CANCELLED, reason="asked", now=LATER)
    with pytest.raises(Conflict, match="cancelled"):
        world.store.request_cancel("e1", now=LATER)


@pytest.mark.parametrize("call", ["get", "request_cancel", "history"])
def test_unknown_ids_raise(world: World, call: str) -> None:
    """Every way to name an experiment says when there is none."""
    arguments: dict[str, dict[str, Any]] = {
        "request_cancel": {"now": LATER},
        "history": {"after": 0, "limit": 5},
    }
    with pytest.raises(UnknownExperiment):
        getattr(world.store, call)("nope", **arguments.get(call, {}))


def test_observation_moves_since_only_when_the_status_does(world: World) -> None:
    """job_since is when the job began to look as it does."""
    row = world.add(state=State.SUBMITTED)
    row = world.store.observe(row, job_status="pending", mlflow_run_id=None, now=START)
    row = world.store.observe(row, job_status="pending", mlflow_run_id="m1", now=LATER)
    assert (row.job_since, row.mlflow_run_id) == (START, "m1")
    row = world.store.observe(row, job_status="gone", mlflow_run_id="m1", now=LATER)
    assert row.job_since == LATER


def test_database_without_tables_is_unavailable(blank: Settings) -> None:
    """An unmigrated database is named as such, with the command to run, not a crash."""
    store = Store(blank.database)
    with pytest.raises(SchemaRefused, match=r"no tables yet; run `rebalance migrate`"):
        store.ping()
    store.close()


def test_one_leader_at_a_time(world: World, settings: Settings) -> None:
    """A second service on the database waits until the first gives up."""
    other = Store(settings.database)
    with other.leadership() as theirs:
        with world.store.leadership() as ours:
            assert ours()
            assert ours()
            assert not theirs()
        assert theirs()
    other.close()
