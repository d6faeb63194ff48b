"""Keeps the servers beside the API running: adopts or starts them, restarts what dies, stops them all."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from service.local import processes
from service.local.data_dir import DataDir, read_processes, write_processes
from service.local.processes import Handle, ProcessRecord, Program, ProgramFailed
from trainer.base.errors import RegionRebalanceError

Details = Mapping[str, Any]
Builder = Callable[[Details | None], Program]  # given the details of an earlier start: the same ports again

ADOPT_SECONDS = 20.0  # an adopted server worked before: silent for longer, it is hung
MAX_DEATHS, DEATHS_WITHIN = 3, 300.0  # more deaths than this within so many seconds, and we give up
_POLL = 0.1


class StopAsked(RegionRebalanceError):
    """A signal asked us to stop while we were still starting."""


class Notices(Protocol):
    """Where a person reads what is going on."""

    def waiting(self, names: tuple[str, ...]) -> None:
        """These are not ready yet; none means that the waiting is over."""

    def line(self, text: str) -> None:
        """Something happened."""


@dataclass
class _Part:
    """One server and how it has fared."""

    program: Program
    handle: Handle
    since: float  # monotonic, of this start
    ready: bool = False
    tries: int = 1
    deaths: list[float] = field(default_factory=list)


class Supervisor:
    """The servers of one data directory. Not thread-safe: one thread calls everything."""

    def __init__(
        self,
        directory: DataDir,
        builders: Mapping[str, Builder],
        notices: Notices,
        *,
        clean: Callable[[Details], None] = lambda details: None,
    ) -> None:
        """`clean` is called with the details of a server that was stopped for good."""
        self._directory = directory
        self._builders = builders
        self._notices = notices
        self._clean = clean
        self._parts: dict[str, _Part] = {}
        self._token = ""

    def details(self, name: str) -> Details:
        """What the running program was started with: url, ports."""
        return self._parts[name].program.details

    def launch(self) -> None:
        """Adopts what an earlier process of ours left running, stops what is unwanted, starts the rest."""
        token, records = read_processes(self._directory)
        self._token = token or secrets.token_hex(8)
        for name, record in records.items():
            handle = processes.adopt(record, self._token, name) if name in self._builders else None
            if handle is not None:
                self._parts[name] = _Part(self._builders[name](record.details), handle, time.monotonic())
        self._write(records)
        for name in {**records, **self._builders}:
            if name not in self._parts:
                self._remove(name, records.get(name))
        for name in self._builders:
            if name not in self._parts:
                self._start(name, None)

    def wait(self, stop: threading.Event) -> None:
        """Returns once every server is healthy.

        Raises:
            ProgramFailed: one ended, also on a second try with fresh ports, or was not healthy in time.
            StopAsked: `stop` was set first.
        """
        while waiting := tuple(name for name, part in self._parts.items() if not part.ready):
            self._notices.waiting(waiting)
            for name in waiting:
                if trouble := self._trouble(name):
                    self._try_elsewhere(name, trouble)
            if stop.wait(_POLL):
                raise StopAsked("asked to stop while starting")

    def check(self) -> None:
        """One look at every server: what died is started again on the same ports.

        Raises:
            ProgramFailed: it keeps dying.
        """
        for name, part in list(self._parts.items()):
            trouble = self._trouble(name)
            if trouble is not None:
                told = f"{name} stopped unexpectedly ({trouble}); starting it again"
                self._notices.line(f"{told}, see {part.program.log}")
                self._again(name)

    def stop(self) -> None:
        """Stops every server with all its processes, last started first.

        Raises:
            ProcessesLeft: after all were tried.
        """
        failures = []
        for name, part in reversed(list(self._parts.items())):
            try:
                processes.stop(self._token, name, part.handle)
                self._clean(part.program.details)
                del self._parts[name]
            except processes.ProcessesLeft as error:
                failures.append(str(error))
        if failures:
            raise processes.ProcessesLeft("; ".join(failures))
        processes.stop(self._token)  # whatever carries our mark and belongs to no part
        self._directory.processes.unlink(missing_ok=True)

    def _start(self, name: str, details: Details | None) -> _Part:
        program = self._builders[name](details)
        self._parts[name] = _Part(program, processes.start(program, self._token), time.monotonic())
        self._write({})
        return self._parts[name]

    def _write(self, others: Mapping[str, ProcessRecord]) -> None:
        records = {**others, **{name: part.handle.record for name, part in self._parts.items()}}
        write_processes(self._directory, self._token, records)

    def _remove(self, name: str, record: ProcessRecord | None) -> None:
        """Stops what is left of a server that is not adopted; nothing, as a rule."""
        handle = processes.adopt(record, self._token, name) if record is not None else None
        processes.stop(self._token, name, handle)
        if record is not None:
            self._clean(record.details)

    def _trouble(self, name: str) -> str | None:
        """Why a server must be started again, None where it need not; notes that it has become healthy."""
        part = self._parts[name]
        if not part.handle.alive():
            return part.handle.ending()
        if part.ready:
            return None
        seconds = time.monotonic() - part.since
        if part.program.healthy():
            part.ready = True
            how = "adopted, it was still running" if part.handle.adopted else f"ready after {seconds:.1f} s"
            self._notices.line(f"{name}: {how}")
            return None
        limit = part.program.limit_seconds
        if part.handle.adopted:  # unless it was still starting when we took it over
            limit = max(ADOPT_SECONDS, limit - (time.time() - part.handle.record.started_at))
        return f"not healthy after {limit:.0f} s" if seconds > limit else None

    def _try_elsewhere(self, name: str, trouble: str) -> None:
        """A second try on fresh ports: somebody may have taken one of ours between the look and the use."""
        part = self._parts[name]
        if part.tries > 1:
            raise self._failed(part, f"{name} does not start ({trouble})")
        self._notices.line(f"{name} did not start ({trouble}); trying once more")
        processes.stop(self._token, name, part.handle)
        self._clean(part.program.details)
        self._start(name, None).tries = part.tries + (not part.handle.adopted)

    def _again(self, name: str) -> None:
        """On the same ports: running jobs and the API hold the addresses."""
        part, now = self._parts[name], time.monotonic()
        deaths = [at for at in part.deaths if now - at < DEATHS_WITHIN] + [now]
        if len(deaths) > MAX_DEATHS:
            raise self._failed(part, f"{name} stopped {len(deaths)} times")
        processes.stop(self._token, name, part.handle)  # what outlived it must not write beside what comes
        self._start(name, part.program.details).deaths = deaths

    @staticmethod
    def _failed(part: _Part, what: str) -> ProgramFailed:
        log = part.program.log
        return ProgramFailed(f"{what}; the end of {log}:\n{processes.log_tail(log)}")
