"""Long-running commands of one instance: start, adopt, watch and stop them, and nothing else's.

A command may put children into sessions of their own and rename them (Ray does both), so three marks are
followed together: two variables in the environment, the session of the first process, and descent.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from trainer.base.errors import RegionRebalanceError

INSTANCE_VARIABLE = "REBALANCE_INSTANCE"
PART_VARIABLE = "REBALANCE_PART"
START_TIME_TOLERANCE = 2.0  # seconds: psutil adds the boot time, which a clock change moves
KILL_LIMIT = 10.0  # seconds for the kernel to take away what was sent SIGKILL
FOLLOW_SECONDS = 2.0  # for a command's other processes to end after its first
_POLL = 0.05  # seconds between two looks at processes that are ending


class ProgramFailed(RegionRebalanceError):
    """A command ended, or did not become healthy in time; the message has the end of its log."""


class ProcessesLeft(RegionRebalanceError):
    """Some processes could not be stopped; the message names them."""


@dataclass(frozen=True)
class Program:
    """One command to keep running, and how to see that it works."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str | None]  # on top of ours; None takes a variable away
    log: Path
    directory: Path
    healthy: Callable[[], bool]
    limit_seconds: float
    details: Mapping[str, Any] = field(default_factory=dict)  # JSON-able: what is needed to adopt it


@dataclass(frozen=True)
class ProcessRecord:
    """What is written about a started process, so that a later one can find it again."""

    pid: int
    started_at: float  # seconds since the epoch
    details: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {"pid": self.pid, "started_at": self.started_at, "details": dict(self.details)}

    @classmethod
    def from_json(cls, document: Any) -> ProcessRecord | None:
        """None where the document is no record: a damaged file only means that nothing is adopted."""
        match document:
            case {"pid": int(pid), "started_at": float(started_at), "details": dict(details)}:
                return cls(pid, started_at, details)
        return None


class Handle:
    """A running command: our own child, or one adopted from an earlier process of ours."""

    def __init__(self, record: ProcessRecord, child: subprocess.Popen[bytes] | None = None) -> None:
        self.record = record
        self._child = child

    @property
    def adopted(self) -> bool:
        return self._child is None

    def alive(self) -> bool:
        """Whether the first process of the command still runs. Reaps our own child."""
        if self._child is not None:
            return self._child.poll() is None
        return is_running(self.record)

    def ending(self) -> str:
        """How it ended, for a message."""
        code = self._child.returncode if self._child is not None else None
        if code is None:
            return "it is gone"
        return f"signal {-code}" if code < 0 else f"exit code {code}"


def start(program: Program, token: str) -> Handle:
    """Starts the command in a session of its own, marked with `token`, its output appended to its log."""
    program.log.parent.mkdir(parents=True, exist_ok=True)
    changed = {**os.environ, **program.environment, INSTANCE_VARIABLE: token, PART_VARIABLE: program.name}
    environment = {name: value for name, value in changed.items() if value is not None}
    with program.log.open("ab") as output:
        child = subprocess.Popen(
            program.argv,
            env=environment,
            cwd=program.directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Handle(ProcessRecord(child.pid, _start_time(child.pid), program.details), child)


def _start_time(pid: int) -> float:
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return time.time()  # it is gone already; whoever asks next will see that


def is_running(record: ProcessRecord) -> bool:
    """Whether the very process of this record runs: a pid alone may have been given to another one."""
    try:
        process = psutil.Process(record.pid)
        same = abs(process.create_time() - record.started_at) <= START_TIME_TOLERANCE
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def adopt(record: ProcessRecord, token: str, part: str) -> Handle | None:
    """A handle on the recorded process if it still runs and carries our marks, else None."""
    carries = any(_carries(process, token, part) for process in _process(record.pid))
    return Handle(record) if carries and is_running(record) else None


def _carries(process: psutil.Process, token: str, part: str | None) -> bool:
    try:
        environment = process.environ()
    except (psutil.Error, OSError):
        return False
    return bool(
        environment.get(INSTANCE_VARIABLE) == token and part in (None, environment.get(PART_VARIABLE))
    )


def family(token: str, part: str | None = None, session: int | None = None) -> list[psutil.Process]:
    """Every living process marked with `token` (and `part`), in `session`, or descended from such a one.

    A session with a marked process in it is ours as a whole: its leader inherited the mark.
    """
    everyone = {process.pid: process for process in psutil.process_iter() if process.pid != os.getpid()}
    marked = {pid for pid, process in everyone.items() if _carries(process, token, part)}
    ours = {_session(pid) for pid in marked} | {session}
    ours -= {None, _session(os.getpid())}
    found = {pid: everyone[pid] for pid in everyone if pid in marked or _session(pid) in ours}
    for process in list(found.values()):
        try:
            for child in process.children(recursive=True):
                found.setdefault(child.pid, child)
        except psutil.Error:
            continue
    return [process for process in found.values() if _living(process)]


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _living(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def stop(
    token: str, part: str | None = None, handle: Handle | None = None, *, grace_seconds: float = 10.0
) -> None:
    """Stops a command and all that belongs to it: SIGTERM to its first process, SIGKILL to what outlives it.

    What started a session of its own is killed before all else. For Ray those are the jobs: asked politely
    they would report a cancel, and seeing their cluster fall apart they would report that as their own error.
    Killed, they count as lost, and go on from their last checkpoint.

    Raises:
        ProcessesLeft: some outlived SIGKILL.
    """
    session = handle.record.pid if handle is not None else None
    if handle is not None and handle.alive():
        apart = [each for each in family(token, part, session) if _session(each.pid) not in (session, None)]
        _send(psutil.Process.kill, apart)
        _send(psutil.Process.terminate, _process(handle.record.pid))
        if _wait(lambda: not handle.alive(), grace_seconds):
            _wait(lambda: not family(token, part, session), FOLLOW_SECONDS)
    deadline = time.monotonic() + KILL_LIMIT
    while rest := family(token, part, session):  # again: what was killed may have started more
        if time.monotonic() > deadline:
            raise ProcessesLeft("; ".join(f"process {process.pid} does not end" for process in rest))
        _send(psutil.Process.kill, rest)
        _wait(partial(_all_gone, rest), 1.0)
        if handle is not None:
            handle.alive()  # reaps our own child


def _all_gone(group: Iterable[psutil.Process]) -> bool:
    return not any(map(_living, group))


def _process(pid: int) -> list[psutil.Process]:
    try:
        return [psutil.Process(pid)]
    except psutil.Error:
        return []


def _send(signal: Callable[[psutil.Process], None], processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        try:
            signal(process)
        except psutil.Error:
            continue


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True


def log_tail(path: Path, lines: int = 12) -> str:
    """The last lines of a log, empty where there is none."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - 16_384))
            text = stream.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.rstrip().splitlines()[-lines:])
