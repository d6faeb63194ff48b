"""What is in the way of one thing keeps nothing else, and nothing goes that is not on record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from service.housekeeping.delete import Deletion
from service.housekeeping.gc.collect import collect
from service.reconcile.cluster import BackendUnreachable, RunFact
from service.shared.keeping.retention import GcRequest, Kind, Retention
from service.shared.log_lines import REQUEST_ID
from service.shared.states import State
from service.store.records import StoreUnavailable
from service.store.trail.audit import DeedFilters
from tests.fakes import FakeRuns
from tests.unit.service.checkpoint_files import leave_checkpoints
from tests.unit.service.conftest import START, World

LATER = START + timedelta(days=40)
MONTH = GcRequest(older_than=30 * 86_400).ages(Retention().ages())
BIN = GcRequest(older_than=30 * 86_400, only=(Kind.MLFLOW,)).ages({})


@dataclass
class SlowRuns(FakeRuns):
    """An MLflow that cannot take `bad` away, and needs half a minute to say so."""

    bad: str = ""
    seconds: float = 0.0
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def clock(self) -> float:
        return self.seconds

    def delete_run(self, run_id: str) -> None:
        self.asked.append(run_id)
        if self.down or run_id == self.bad:
            self.seconds += 30
            raise BackendUnreachable(f"{run_id}: 500 Internal Server Error")
        super().delete_run(run_id)


def in_bin(world: World, runs: SlowRuns, number: int) -> Deletion:
    """Runs that somebody deleted in MLflow, of experiments that ended long ago."""
    for each in range(number):
        world.add(f"e{each}", state=State.COMPLETED, ended_at=START, mlflow_run_id=f"m{each}")
        runs.facts[f"m{each}"] = RunFact.DELETED
        runs.logged[f"m{each}"] = 100
    return Deletion(world.store, world.settings.layout, runs)


def details(world: World) -> list[str | None]:
    """What is on record of collections, the oldest first."""
    found, _ = world.store.audit.page(DeedFilters(actions=["gc"]), cursor=None, limit=50)
    return [each.detail for each in reversed(found)]


@pytest.fixture
def asked() -> Iterator[None]:
    """Somebody asks for it, which is what is put on record."""
    before = REQUEST_ID.set("r1")
    yield
    REQUEST_ID.reset(before)


def test_what_fails_slowly_each_time_keeps_nothing_else(world: World) -> None:
    """One run takes all of a call's time, whenever its turn comes; the others go in the calls after it."""
    runs = SlowRuns(bad="m0")
    deletion = in_bin(world, runs, 6)
    for _ in range(30):
        collect(deletion, BIN, LATER, dry_run=False, clock=runs.clock)
    assert set(runs.logged) == {"m0"}


def test_a_silent_mlflow_is_asked_once(world: World) -> None:
    """Each question has its timeout; files do not wait for it, whatever their place in the plan."""
    runs = SlowRuns()
    deletion = in_bin(world, runs, 5)
    leave_checkpoints(world.settings.layout, "e1", ("iter_500", "iter_1000"))
    both = MONTH | BIN
    sizes = dict(runs.logged)
    runs.binned = lambda run_ids: sizes  # type: ignore[method-assign, assignment]
    runs.down = True
    found = collect(deletion, both, LATER, dry_run=False)
    assert (len(runs.asked), found.more) == (1, False)
    assert sum(each.trouble is not None for each in found.outcomes) == 5
    assert world.settings.layout.checkpoints("e1").names() == []


def test_what_is_gone_is_on_record_where_the_database_went_away(
    world: World, asked: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was to go was noted before the first of it; what did is noted if it is back by then."""
    deletion = in_bin(world, SlowRuns(), 1)
    leave_checkpoints(world.settings.layout, "e0", ("iter_500", "iter_1000"))
    plain, calls = deletion.store.standings.of, iter(range(9))

    def of(ids: Any = None) -> Any:
        if next(calls) == 2:
            raise StoreUnavailable("connection lost")
        return plain(ids)

    monkeypatch.setattr(deletion.store.standings, "of", of)
    only = GcRequest(older_than=30 * 86_400, only=(Kind.CHECKPOINTS,)).ages({})
    with pytest.raises(StoreUnavailable):
        collect(deletion, only, LATER, dry_run=False)
    assert len(world.settings.layout.checkpoints("e0").names()) == 1
    planned, went = details(world)
    assert str(planned).startswith("2 checkpoints; ")
    assert str(went).startswith("of that went: 1 checkpoints; ")


def test_nothing_goes_that_cannot_be_put_on_record(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk under the database is full, say."""
    deletion = in_bin(world, SlowRuns(), 1)
    leave_checkpoints(world.settings.layout, "e0", ("iter_500", "iter_1000"))

    def full(*_args: object, **_named: object) -> None:
        raise StoreUnavailable("database or disk is full")

    monkeypatch.setattr(deletion.store.audit, "note", full)
    with pytest.raises(StoreUnavailable):
        collect(deletion, MONTH, LATER, dry_run=False)
    assert len(world.settings.layout.checkpoints("e0").names()) == 2


def test_where_less_went_that_is_said(world: World, asked: None) -> None:
    runs = SlowRuns(bad="m0")
    collect(in_bin(world, runs, 2), BIN, LATER, dry_run=False)
    assert details(world) == ["2 mlflow; 200 bytes", "of that went: 1 mlflow; 100 bytes"]
