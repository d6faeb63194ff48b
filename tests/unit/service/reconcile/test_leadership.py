"""The lead on Postgres: a lease that runs out, and writes of a former leader that do not count."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from service.reconcile.cluster import JobObservation
from service.reconcile.reconciler import Reconciler, utc_now
from service.shared.states import State
from service.store.engine import make_engine
from service.store.experiments import Store
from service.store.leadership import Lease
from service.store.records import StoreUnavailable
from tests.fakes import FakeBackend
from tests.postgres import Server
from tests.unit.service.conftest import World, until

_RUN_OUT = "UPDATE leases SET expires_at = now() - interval '1 second'"
_CUT = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = 'migrated' AND pid <> pg_backend_pid()"""


@pytest.fixture
def database() -> str:
    """The other has a file's lock, which nobody can take away."""
    return "postgres"


class Overtaken(FakeBackend):
    """A cluster during whose first answer the lease runs out, and another service takes it."""

    def __init__(self, server: Server, other: Store) -> None:
        super().__init__()
        self._server = server
        self.theirs = other.leadership()
        self.asked: list[str] = []

    def status(self, job_id: str) -> JobObservation:
        self.asked.append(job_id)
        if len(self.asked) == 1:
            theirs = self.theirs.__enter__()
            assert not theirs()
            self._server.run(_RUN_OUT, database="migrated")
            assert theirs()
        return super().status(job_id)


def test_what_a_former_leader_writes_does_not_count(world: World, postgres: Server) -> None:
    """Its clock says that it still leads, as after a suspension: the database refuses the row in hand."""
    for name in ("e1", "e2"):
        world.add(name, state=State.SUBMITTED)
    with closing(Store(world.settings.database)) as other, world.store.leadership() as ours:
        assert ours()
        backend = Overtaken(postgres, other)
        reconciler = Reconciler(world.store, backend, world.settings)
        with pytest.raises(StoreUnavailable, match="another service leads by now"):
            reconciler.run_once(utc_now(), ours)
        assert backend.asked == ["e1-1"]
        backend.theirs.__exit__(None, None, None)
    assert world.store.get("e1").job_status is None  # that the cluster does not know the job was seen in vain


def test_a_cut_connection_takes_no_lead_away(world: World, postgres: Server) -> None:
    """A lock of the session would be lost with it, and another might act while we still do."""
    with closing(Store(world.settings.database)) as other, world.store.leadership() as ours:
        assert ours()
        number = ours.number
        postgres.run(_CUT, database="migrated")
        world.add("e1")  # on a new connection, and still fenced
        assert ours()
        assert ours.number == number
        with other.leadership() as theirs:
            assert not theirs()


class Clock:
    """Moved by the test alone."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def lease(world: World) -> Iterator[Lease]:
    engine = make_engine(world.settings.database)
    made = Lease(engine, seconds=0.6)
    yield made
    made.release()
    engine.dispose()


def test_it_is_kept_while_its_holder_works(world: World, lease: Lease, postgres: Server) -> None:
    """A row may take longer than the lease: it is renewed beside the work, and its number stays."""
    assert lease.acquire()
    ends = "SELECT expires_at FROM leases"
    first = postgres.run(ends, database="migrated")
    until(lambda: postgres.run(ends, database="migrated") > first)
    with world.store.leadership() as other:
        assert not other()
    assert lease.number == 1


def test_each_holder_has_a_higher_number(world: World, lease: Lease) -> None:
    """Given back, it can be had at once; the first one's again is a new lead."""
    assert lease.acquire()
    lease.release()
    with world.store.leadership() as other:
        assert other()
        assert other.number == 2
    engine = make_engine(world.settings.database)
    third = Lease(engine)
    assert third.acquire()
    assert third.number == 3
    third.release()
    engine.dispose()


def test_one_that_hangs_is_not_waited_for(world: World) -> None:
    """Whoever does not ask for two minutes whether it leads, loses the lease, though its keeper lives."""
    clock, engine = Clock(), make_engine(world.settings.database)
    hanging = Lease(engine, seconds=0.3, clock=clock)
    assert hanging.acquire()
    clock.now += 121
    with world.store.leadership() as other:
        until(other)
        assert not hanging.acquire()
    hanging.release()
    engine.dispose()
