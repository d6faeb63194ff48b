"""Long-running commands: found again, and stopped with all that is theirs and nothing else."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from service.local import processes
from service.local.processes import Handle, ProcessRecord
from tests.unit.service.served import FAMILY, program, until

TOKEN = uuid.uuid4().hex  # unlike that of another run of these tests on this host


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    yield
    processes.stop(TOKEN)


def _alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.mark.slow
def test_stop_ends_children_in_other_sessions_and_without_the_mark(tmp_path: Path) -> None:
    """Every descendant goes: one in a session of its own, one whose environment is empty."""
    handle = processes.start(program(tmp_path, code=FAMILY), TOKEN)
    text = until(lambda: (up := tmp_path / "server.up").exists() and up.read_text())
    children = [int(pid) for pid in text.split()]
    assert all(map(_alive, children))
    processes.stop(TOKEN, "server", handle)
    assert not handle.alive()
    assert not any(map(_alive, children))


def test_stop_finds_the_family_of_a_dead_first_process(tmp_path: Path) -> None:
    """What a killed command left behind is found by its session, also what does not carry the mark."""
    handle = processes.start(program(tmp_path, code=FAMILY), TOKEN)
    text = until(lambda: (up := tmp_path / "server.up").exists() and up.read_text())
    children = [int(pid) for pid in text.split()]
    psutil.Process(handle.record.pid).kill()
    until(lambda: not handle.alive())
    assert all(map(_alive, children))
    processes.stop(TOKEN, "server", handle)
    assert not any(map(_alive, children))


def test_stop_leaves_others_alone(tmp_path: Path) -> None:
    """Processes of another instance, of another part, and unmarked ones survive."""
    other = processes.start(program(tmp_path, "other"), "another token")
    part = processes.start(program(tmp_path, "part"), TOKEN)
    stranger = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    handle = processes.start(program(tmp_path), TOKEN)
    try:
        processes.stop(TOKEN, "server", handle)
        assert other.alive()
        assert part.alive()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
        processes.stop("another token", "other", other)
    processes.stop(TOKEN)
    assert not part.alive()


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """SIGKILL follows the grace period."""
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    ready = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text('up'); time.sleep(600)"
    handle = processes.start(program(tmp_path, code=deaf + ready), TOKEN)
    until((tmp_path / "server.up").exists)
    processes.stop(TOKEN, "server", handle, grace_seconds=0.2)
    assert not handle.alive()
    assert handle.ending() != "exit code 0"


def test_adoption_needs_pid_start_time_and_marks(tmp_path: Path) -> None:
    """The very process is taken; one with another start time, token or part is a stranger's."""
    handle = processes.start(program(tmp_path), TOKEN)
    until((tmp_path / "server.up").exists)
    record = handle.record
    again = ProcessRecord.from_json(record.to_json())
    assert again == record
    assert again is not None
    adopted = processes.adopt(again, TOKEN, "server")
    assert adopted is not None
    assert adopted.adopted
    assert adopted.alive()
    earlier = dataclasses.replace(record, started_at=record.started_at - 3600)
    assert processes.adopt(earlier, TOKEN, "server") is None
    assert processes.adopt(record, "another token", "server") is None
    assert processes.adopt(record, TOKEN, "another part") is None
    processes.stop(TOKEN, "server", adopted)
    assert not handle.alive()
    assert processes.adopt(record, TOKEN, "server") is None


@pytest.mark.parametrize("document", [None, [], {"pid": 1}, {"pid": "1", "started_at": 1.0, "details": {}}])
def test_a_damaged_record_is_none(document: object) -> None:
    """Nothing is adopted from what is no record, and nothing raises."""
    assert ProcessRecord.from_json(document) is None


def test_environment_of_a_command(tmp_path: Path) -> None:
    """Variables are added, None takes one away, and the marks are there."""
    code = "import os, pathlib, sys; pathlib.Path(sys.argv[1]).write_text(repr(dict(os.environ)))"
    given = program(tmp_path, code=code, environment={"ADDED": "yes", "HOME": None})
    handle = processes.start(given, TOKEN)
    until(lambda: not handle.alive())
    environment = (tmp_path / "server.up").read_text()
    assert "'ADDED': 'yes'" in environment
    assert "'HOME'" not in environment
    assert f"'{processes.INSTANCE_VARIABLE}': '{TOKEN}'" in environment
    assert handle.ending() == "exit code 0"


def test_log_tail(tmp_path: Path) -> None:
    """The last lines, and nothing for a file that is not there."""
    log = tmp_path / "x.log"
    assert processes.log_tail(log) == ""
    log.write_text("\n".join(f"line {number}" for number in range(5000)))
    assert processes.log_tail(log, 2) == "line 4998\nline 4999"


def test_handle_of_a_gone_process() -> None:
    """A record of a process that ended long ago is not alive, and says so plainly."""
    handle = Handle(ProcessRecord(2**22 + 1, 0.0, {}))
    assert not handle.alive()
    assert handle.ending() == "it is gone"
