"""Servers beside the API: started, adopted, restarted, given up, stopped."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from service.local import processes
from service.local.data_dir import DataDir, read_processes, write_processes
from service.local.processes import Program, ProgramFailed
from service.local.supervisor import MAX_DEATHS, StopAsked, Supervisor
from tests.unit.service.served import Lines, program, until

FAILING = "print('port 1 is taken'); raise SystemExit(7)"


class Builds:
    """A builder that remembers what it was given; the first `bad` programs end at once."""

    def __init__(self, directory: Path, name: str = "server", bad: int = 0) -> None:
        self.directory, self.name, self.bad = directory, name, bad
        self.given: list[Mapping[str, Any] | None] = []

    def __call__(self, details: Mapping[str, Any] | None) -> Program:
        self.given.append(details)
        code = {"code": FAILING} if len(self.given) <= self.bad else {}
        ports = details["ports"] if details else [len(self.given)]
        return program(self.directory, self.name, details={"ports": ports}, **code)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[DataDir]:
    found = DataDir(tmp_path)
    yield found
    token, _ = read_processes(found)
    if token is not None:
        processes.stop(token)


def _supervisor(directory: DataDir, *builders: Builds, notices: Lines | None = None) -> Supervisor:
    return Supervisor(directory, {each.name: each for each in builders}, notices or Lines())


def _pid(directory: DataDir, name: str = "server") -> int:
    return read_processes(directory)[1][name].pid


def test_start_wait_and_stop(directory: DataDir) -> None:
    """All are healthy after `wait`, each with a line; after `stop` none runs and processes.json is gone."""
    notices = Lines()
    one, two = Builds(directory.path, "one"), Builds(directory.path, "two")
    supervisor = _supervisor(directory, one, two, notices=notices)
    supervisor.launch()
    supervisor.wait(threading.Event())
    pids = [_pid(directory, "one"), _pid(directory, "two")]
    assert sorted(line.split(":")[0] for line in notices.lines) == ["one", "two"]
    assert all(map(psutil.pid_exists, pids))
    supervisor.stop()
    assert not any(map(psutil.pid_exists, pids))
    assert not directory.processes.exists()


def test_a_failed_start_is_tried_once_more_on_fresh_ports(directory: DataDir) -> None:
    """A port may be taken between the look and the use: the second try looks again."""
    builds = Builds(directory.path, bad=1)
    supervisor = _supervisor(directory, builds)
    supervisor.launch()
    supervisor.wait(threading.Event())
    assert builds.given == [None, None]
    assert supervisor.details("server") == {"ports": [2]}
    supervisor.stop()


def test_two_failed_starts_end_it_with_the_log(directory: DataDir) -> None:
    """The message names the server, how it ended, its log and the log's end."""
    supervisor = _supervisor(directory, Builds(directory.path, bad=2))
    supervisor.launch()
    with pytest.raises(ProgramFailed, match=r"server does not start \(exit code 7\)[\s\S]*port 1 is taken"):
        supervisor.wait(threading.Event())
    supervisor.stop()


def test_a_signal_ends_the_waiting(directory: DataDir) -> None:
    """Ctrl-C while starting is heard."""
    supervisor = Supervisor(
        directory, {"server": lambda _: program(directory.path, healthy=lambda: False)}, Lines()
    )
    supervisor.launch()
    stop = threading.Event()
    stop.set()
    with pytest.raises(StopAsked):
        supervisor.wait(stop)
    supervisor.stop()


def test_the_next_supervisor_adopts(directory: DataDir) -> None:
    """After SIGKILL of ours the server goes on; the next one takes it over on its ports, and stops it."""
    first = _supervisor(directory, Builds(directory.path))
    first.launch()
    first.wait(threading.Event())
    pid = _pid(directory)
    builds, notices = Builds(directory.path), Lines()
    second = _supervisor(directory, builds, notices=notices)
    second.launch()
    second.wait(threading.Event())
    assert _pid(directory) == pid
    assert builds.given == [{"ports": [1]}]
    assert notices.lines == ["server: adopted, it was still running"]
    second.stop()
    first.stop()  # nothing is left to stop: this reaps its child
    assert not psutil.pid_exists(pid)


def test_what_is_no_longer_wanted_is_stopped(directory: DataDir) -> None:
    """Left from before, and now named from outside by a setting: it does not stay behind."""
    first = _supervisor(directory, Builds(directory.path, "one"), Builds(directory.path, "two"))
    first.launch()
    first.wait(threading.Event())
    one, two = (read_processes(directory)[1][name] for name in ("one", "two"))
    second = _supervisor(directory, Builds(directory.path, "two"))
    second.launch()
    assert not processes.is_running(one)
    assert processes.is_running(two)
    second.stop()
    first.stop()


def test_a_record_of_a_stranger_is_neither_adopted_nor_stopped(directory: DataDir) -> None:
    """The pid of a dead server given to another process: that one is left alone, ours is started."""
    stranger = processes.start(program(directory.path, "stranger"), "another token")
    try:
        write_processes(directory, "0123456789abcdef", {"server": stranger.record})
        supervisor = _supervisor(directory, Builds(directory.path))
        supervisor.launch()
        supervisor.wait(threading.Event())
        assert _pid(directory) != stranger.record.pid
        supervisor.stop()
        assert stranger.alive()
    finally:
        processes.stop("another token", "stranger", stranger)


def test_a_server_that_dies_is_started_again_on_its_ports(directory: DataDir) -> None:
    """Jobs and API hold its address; the restart is said, with the log to look at."""
    builds, notices = Builds(directory.path), Lines()
    supervisor = _supervisor(directory, builds, notices=notices)
    supervisor.launch()
    supervisor.wait(threading.Event())
    before = _pid(directory)
    psutil.Process(before).kill()

    def again() -> bool:
        supervisor.check()
        return _pid(directory) != before

    until(again)
    supervisor.wait(threading.Event())
    assert builds.given[-1] == {"ports": [1]}
    assert "stopped unexpectedly (signal 9); starting it again" in notices.lines[1]
    supervisor.stop()


def test_a_server_that_keeps_dying_is_given_up(directory: DataDir) -> None:
    """Not for ever: after a few deaths in short time the message says so."""
    supervisor = _supervisor(directory, Builds(directory.path))
    supervisor.launch()
    supervisor.wait(threading.Event())

    def kill() -> None:
        before = _pid(directory)
        psutil.Process(before).kill()

        def seen() -> bool:
            supervisor.check()
            return _pid(directory) != before

        until(seen)

    for _ in range(MAX_DEATHS):
        kill()
    with pytest.raises(ProgramFailed, match=f"server stopped {MAX_DEATHS + 1} times"):
        kill()
    supervisor.stop()
