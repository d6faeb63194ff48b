"""Two services on one database, each a process: one leads, the other takes over. SQLite and Postgres."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from service.reconcile.reconciler import utc_now
from service.store.experiments import Store
from service.store.new_rows import new_experiment
from tests.data_factories import make_spec
from tests.paths import ROOT
from tests.postgres import Server

pytestmark = pytest.mark.integration

LIMIT_SECONDS = 60.0
_CUT = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = 'two' AND pid <> pg_backend_pid()"""


def until(condition: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + LIMIT_SECONDS
    while not (value := condition()):
        assert time.monotonic() < end, what
        threading.Event().wait(0.02)
    return value


class Service:
    """A process, and what it has said."""

    def __init__(self, url: str, directory: Path) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.contract.service_process", url, str(directory)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(line.strip() for line in self.process.stdout)

    def took(self, job: str) -> bool:
        return f"took {job}" in self.lines

    def stop(self) -> int:
        """Lets it end by itself; its exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        code = self.process.wait(LIMIT_SECONDS)
        self._reader.join(LIMIT_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


class Pair:
    """Two services that were started at once on an empty database, and a store beside them."""

    def __init__(self, url: str, directory: Path, opened: ExitStack) -> None:
        self.url = url
        self.services = [Service(url, directory / "data") for _ in range(2)]
        for service in self.services:
            opened.callback(service.stop)
        for service in self.services:
            until(lambda each=service: each.lines or each.process.poll() is not None, "both start")
        self.started = [service.lines[:1] for service in self.services]
        self.store = Store(url)
        opened.callback(self.store.close)

    def add(self, name: str) -> Service:
        """Stores an experiment and gives the service that took its job."""
        self.store.create(new_experiment(name, make_spec(), utc_now()), new_tags={})
        return self.taker(f"{name}-1")

    def taker(self, job: str) -> Service:
        """The one service that took the job; fails where both did."""
        until(lambda: any(service.took(job) for service in self.services), f"{job} is taken")
        (one,) = [service for service in self.services if service.took(job)]
        return one

    def other(self, than: Service) -> Service:
        return next(service for service in self.services if service is not than)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    directory = tmp_path_factory.mktemp("two")
    (directory / "data").mkdir()
    url = f"sqlite:///{directory / 'data' / 'rebalance.db'}"
    with ExitStack() as opened:
        if request.param == "postgres":
            server: Server = request.getfixturevalue("postgres")
            url = server.create("two")
            opened.callback(server.drop, "two")
        yield Pair(url, directory, opened)


def test_both_start_and_one_acts(pair: Pair) -> None:
    """Both migrate the empty database at once and are content; all jobs go through the one that leads."""
    assert pair.started == [["ready"], ["ready"]]
    first = pair.add("e1")
    assert pair.add("e2") is first
    assert pair.other(first).lines == ["ready"]


@pytest.mark.parametrize("pair", ["postgres"], indirect=True)
def test_cut_connections_make_nobody_act_twice(pair: Pair, postgres: Server) -> None:
    """Each time all connections are cut, one of the two leads on, and no job is taken by both."""
    for number in range(5):
        postgres.run(_CUT, database="two")
        pair.add(f"cut{number}")
    taken = [line for service in pair.services for line in service.lines if line != "ready"]
    assert len(taken) == len(set(taken))


@pytest.mark.parametrize("pair", ["postgres"], indirect=True)
def test_a_leader_that_stands_still_is_followed_and_then_follows(pair: Pair, postgres: Server) -> None:
    """Stopped beyond its lease, as by a partition, it holds nobody up; when it goes on, it does not act."""
    first = pair.add("still0")
    (before,) = postgres.run("SELECT number FROM leases", database="two")
    first.process.send_signal(signal.SIGSTOP)
    stopped = time.monotonic()
    try:
        second = pair.add("still1")
        assert second is pair.other(first)
        assert time.monotonic() - stopped < 15
    finally:
        first.process.send_signal(signal.SIGCONT)
    for number in range(2, 5):
        assert pair.add(f"still{number}") is second
    (after,) = postgres.run("SELECT number FROM leases", database="two")
    assert after[0] == before[0] + 1


def test_the_second_leads_after_the_first_was_killed(pair: Pair) -> None:
    """After kill -9 of the one that leads the other acts within some polls, and takes up all there is."""
    first = pair.add("e3")
    first.process.kill()
    first.process.wait(LIMIT_SECONDS)
    killed = time.monotonic()
    assert pair.add("e4") is pair.other(first)
    assert time.monotonic() - killed < 20, "a poll of 0.2 s, on a busy machine"
