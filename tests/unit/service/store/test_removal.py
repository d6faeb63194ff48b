"""Rows that go: what stands in the way, what goes with them, and what stays on record."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select

from service.shared.access.acting import ACTOR
from service.shared.log_lines import REQUEST_ID
from service.shared.states import State
from service.store.attempts.values import AttemptRecord
from service.store.jobs import Ledger
from service.store.new_rows import new_followup, new_sweep, trial_row
from service.store.records import Conflict, Sweep, UnknownExperiment, UnknownFollowup, UnknownSweep
from service.store.tables import attempts, events, experiments, followup_events, followups, sweep_events, tags
from service.store.trail.audit import DeedFilters
from service.store.trail.deeds import Deed
from sweeps.document.expand import expand
from sweeps.document.spec import parse_sweep
from tests.unit.service.conftest import START, World
from tests.unit.service.followup_job import request
from tests.unit.service.sweep_job import sweep_document


@pytest.fixture
def kim() -> Iterator[None]:
    """A request of hers is being answered."""
    set_back = (REQUEST_ID.set("r1"), ACTOR.set("kim"))
    yield
    REQUEST_ID.reset(set_back[0])
    ACTOR.reset(set_back[1])


def ended(world: World, identifier: str = "e1", state: State = State.COMPLETED) -> None:
    world.add(identifier, state=state)


def followup(world: World, experiment: str = "e1", state: State = State.COMPLETED) -> str:
    new = new_followup(experiment, request(), now=START, key=None, request_hash="h")
    row = world.store.followups.create(new)
    if state is not State.QUEUED:
        world.store.followups.transition(row, to=State.CANCELLED, reason="asked", now=START)
    return row.id


def sweep(world: World, state: State = State.COMPLETED, trial: State = State.COMPLETED) -> Sweep:
    spec = parse_sweep(sweep_document())
    new = new_sweep(spec, now=START, key=None, request_hash="h")
    rows = [(trial_row(new, each.number, each.row, each.spec, START), {}) for each in expand(spec)]
    made = world.store.sweeps.create(new, rows)
    with world.store._database.writing() as connection:
        world.store.sweeps.write(connection, made.id, state=state)
        for row, _ in rows:
            world.store.write(connection, row.id, state=trial)
    return world.store.sweeps.get(made.id)


def left(world: World) -> dict[str, int]:
    """How many rows each table has that hangs on something deleted."""
    tables = (experiments, events, tags, followups, followup_events, sweep_events, attempts)
    with world.store._database.reading() as connection:
        found = {each.name: connection.scalar(select(func.count()).select_from(each)) for each in tables}
    return {name: number for name, number in found.items() if number}


def record_attempt(world: World, ledger: Ledger[Any], owner: str) -> None:
    record = AttemptRecord(attempt=1, job_id=f"{owner}-1", submitted_at=START)
    with world.store._database.writing() as connection:
        ledger.keep_attempts(connection, owner, [record])


def deeds(world: World, **filters: list[str]) -> list[Deed]:
    return world.store.audit.page(DeedFilters(**filters), cursor=None, limit=50)[0]


def test_an_experiment_goes_with_all_that_hangs_on_it(world: World, kim: None) -> None:
    """Events, tags, follow-ups, records of attempts; who asked, and when, stays, and is told ever after."""
    ended(world)
    record_attempt(world, world.store, "e1")
    record_attempt(world, world.store.followups, followup(world))
    world.store.removals.experiment("e1", now=START, detail="with its artifacts")
    assert left(world) == {}
    (deed,) = deeds(world, actions=["delete"])
    assert (deed.actor, deed.kind, deed.subject, deed.request, deed.at) == (
        "kim",
        "experiment",
        "e1",
        "r1",
        START,
    )
    assert deed.detail is not None
    assert deed.detail.endswith("completed, with its artifacts")
    with pytest.raises(UnknownExperiment) as caught:
        world.store.get("e1")
    assert caught.value.gone == "it was deleted by kim at 2026-01-02 03:04 UTC"


@pytest.mark.parametrize("state", [State.QUEUED, State.SUBMITTED, State.RUNNING])
def test_what_has_not_ended_stays(world: World, state: State) -> None:
    ended(world, state=state)
    with pytest.raises(Conflict, match=f"is {state}; only what has ended can be deleted: cancel it first"):
        world.store.removals.experiment("e1", now=START, detail="")
    assert world.store.get("e1").state is state
    assert deeds(world) == []


def test_what_something_reads_stays(world: World) -> None:
    """A follow-up of its own, or one that looks at it beside another."""
    ended(world)
    ended(world, "e2")
    reader = followup(world, state=State.QUEUED)
    with pytest.raises(Conflict, match=f"experiment e1 is read by what has not ended: {reader};"):
        world.store.removals.experiment("e1", now=START, detail="")
    beside = request(disagreement={"against": "e2"}, modes=["single_scale"])
    other = world.store.followups.create(
        new_followup("e1", beside, now=START, key=None, request_hash="h2")
    ).id
    with pytest.raises(Conflict, match=f"experiment e2 is read by what has not ended: {other};"):
        world.store.removals.experiment("e2", now=START, detail="")


def test_what_another_continues_stays(world: World) -> None:
    """Its course begins there; the one that continues goes first."""
    ended(world)
    world.add("e2", state=State.COMPLETED, continues="e1")
    with pytest.raises(Conflict, match="e1 is continued by e2, whose course begins there"):
        world.store.removals.experiment("e1", now=START, detail="")
    for identifier in ("e2", "e1"):
        world.store.removals.experiment(identifier, now=START, detail="")
    assert left(world) == {}


def test_a_trial_goes_with_its_sweep_alone(world: World) -> None:
    """Its table needs it; with the sweep all its trials go, and what hangs on them."""
    made = sweep(world)
    trial = world.store.trials(made.id)[0]
    record_attempt(world, world.store.followups, followup(world, trial.id))
    record_attempt(world, world.store, trial.id)
    record_attempt(world, world.store.sweeps, made.id)
    with pytest.raises(Conflict, match=f"is trial 0 of sweep {made.id}, whose table needs it"):
        world.store.removals.experiment(trial.id, now=START, detail="")
    world.store.removals.sweep(made.id, now=START, detail="with its artifacts")
    assert left(world) == {}
    (deed,) = deeds(world, kinds=["sweep"])
    assert (deed.actor, deed.action) == (None, "delete")
    assert "with 4 trials, its artifacts" in (deed.detail or "")
    with pytest.raises(UnknownSweep) as caught:
        world.store.sweeps.get(made.id)
    assert caught.value.gone.startswith("it was deleted at ")


def test_a_sweep_that_is_not_over_stays(world: World) -> None:
    """Neither while it goes on, nor while a trial does, nor while one is read."""
    running = sweep(world, State.RUNNING)
    with pytest.raises(Conflict, match=f"sweep {running.id} is running; only what has ended"):
        world.store.removals.sweep(running.id, now=START, detail="")
    detached = sweep(world, trial=State.QUEUED)
    with pytest.raises(Conflict, match=r"of sweep .* have not ended; cancel what still runs first"):
        world.store.removals.sweep(detached.id, now=START, detail="")
    read = sweep(world)
    reader = followup(world, world.store.trials(read.id)[0].id, State.QUEUED)
    with pytest.raises(
        Conflict, match=f"trials of sweep {read.id} are read by what has not ended: {reader};"
    ):
        world.store.removals.sweep(read.id, now=START, detail="")


def test_a_followup_goes_alone(world: World) -> None:
    """Its experiment stays; of one that is gone no other can be stored."""
    ended(world)
    identifier = followup(world)
    world.store.removals.followup(identifier, now=START, detail="")
    assert left(world) == {"experiments": 1, "events": 1}
    with pytest.raises(UnknownFollowup):
        world.store.followups.get(identifier)
    live = followup(world, state=State.QUEUED)
    with pytest.raises(Conflict, match=f"follow-up {live} is queued"):
        world.store.removals.followup(live, now=START, detail="")


def test_of_what_somebody_asks_for_it_is_on_record(world: World, kim: None) -> None:
    """With the change itself; page by page, newest first; and nothing of what the service does by itself."""
    ended(world, state=State.FAILED)
    world.store.retry(world.store.get("e1"), attempt=2, reason="asked", now=START)
    world.store.request_cancel("e1", now=START)
    world.store.request_cancel("e1", now=START)  # changes nothing any more
    assert [(each.action, each.subject) for each in deeds(world)] == [
        ("cancel", "e1"),
        ("retry", "e1"),
        ("submit", "e1"),
    ]
    first, cursor = world.store.audit.page(DeedFilters(), cursor=None, limit=2)
    rest, end = world.store.audit.page(DeedFilters(), cursor=cursor, limit=2)
    assert [each.action for each in (*first, *rest)] == ["cancel", "retry", "submit"]
    assert end is None
    REQUEST_ID.set("")
    world.step()
    assert len(deeds(world)) == 3


def test_what_is_stored_at_the_same_time_is_seen(world: World) -> None:
    """A follow-up that another thread stores in the very transaction that the deletion shares."""
    ended(world)
    stored, asked = threading.Event(), threading.Event()
    found: list[str] = []
    plain = world.store.followups.insert

    def slow(connection: Any, rows: Any, reason: str) -> None:
        plain(connection, rows, reason)
        stored.set()
        asked.wait(5)

    world.store.followups.insert = slow  # type: ignore[method-assign]
    storing = threading.Thread(target=lambda: found.append(followup(world, state=State.QUEUED)))
    storing.start()
    assert stored.wait(5)
    outcome: list[str] = []

    def delete() -> None:
        asked.set()
        try:
            world.store.removals.experiment("e1", now=START, detail="")
        except Conflict as error:
            outcome.append(str(error))

    deleting = threading.Thread(target=delete)
    deleting.start()
    for each in (storing, deleting):
        each.join(10)
    assert f"experiment e1 is read by what has not ended: {found[0]}" in outcome[0]
    assert world.store.followups.get(found[0]).state is State.QUEUED
