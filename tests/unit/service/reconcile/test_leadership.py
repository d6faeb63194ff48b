"""The lead of a database, as Postgres gives it: lost with the connection, and noticed before the next row."""

from __future__ import annotations

from contextlib import closing

import pytest

from service.reconcile.cluster import JobObservation
from service.reconcile.reconciler import Reconciler, utc_now
from service.shared.states import State
from service.store.experiments import Store
from service.store.records import StoreUnavailable
from tests.fakes import FakeBackend
from tests.postgres import Server
from tests.unit.service.conftest import World

_HELD = "FROM pg_locks WHERE locktype = 'advisory' AND granted"


@pytest.fixture
def database() -> str:
    """The other has a file's lock, which nobody can take away."""
    return "postgres"


class Cutting(FakeBackend):
    """A cluster during whose first answer the service loses its connection, and another begins to lead."""

    def __init__(self, server: Server, other: Store) -> None:
        super().__init__()
        self._server = server
        self._other = other.leadership()
        self.theirs = self._other.__enter__()
        self.asked: list[str] = []

    def status(self, job_id: str) -> JobObservation:
        self.asked.append(job_id)
        if len(self.asked) == 1:
            assert not self.theirs()
            self._server.run(f"SELECT pg_terminate_backend(pid, 5000) {_HELD}", database="migrated")
            assert self.theirs()
        return super().status(job_id)


def test_a_leader_that_was_cut_off_leaves_the_next_row_alone(world: World, postgres: Server) -> None:
    """The row in hand is finished, by compare-and-set; the next is not looked at; then the other leads."""
    for name in ("e1", "e2"):
        world.add(name, state=State.SUBMITTED)
    with closing(Store(world.settings.database)) as other, world.store.leadership() as ours:
        assert ours()
        backend = Cutting(postgres, other)
        reconciler = Reconciler(world.store, backend, world.settings)
        with pytest.raises(StoreUnavailable, match=r"terminat|closed"):
            reconciler.run_once(utc_now(), ours)
        assert backend.asked == ["e1-1"]
        assert backend.theirs()
        assert not ours()


def test_a_leader_whose_connection_was_cut_wins_it_again(world: World, postgres: Server) -> None:
    """One look finds the connection gone, and says so; the next has a new one."""
    with world.store.leadership() as ours:
        assert ours()
        postgres.run(f"SELECT pg_terminate_backend(pid, 5000) {_HELD}", database="migrated")
        with pytest.raises(StoreUnavailable):
            ours()
        assert ours()
