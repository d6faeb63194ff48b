"""A job as the driver of one attempt: it joins a cluster, and reports also where it is told to stop."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any, NoReturn

from trainer.base.ends import ExitCode, Reported
from trainer.base.errors import Cancelled, Paused, SpecError
from trainer.run.reported import ReportedWork


class JobProcess:
    """This process, while it does the work of an attempt."""

    def __init__(self, attempt: ReportedWork[Any, Any]) -> None:
        self._attempt = attempt
        self._owns_cluster = False

    def run(self, work: Callable[[Any], Any]) -> int:
        """Does `work` of the attempt, connected to the cluster; the exit code."""

        def connected(attempt: ReportedWork[Any, Any]) -> Any:
            from trainer.run import launch

            self._owns_cluster = launch.connect()
            self._catch_signals()  # Ray has put its own handlers over ours: they abort without a word
            attempt.mark("ray")
            return work(attempt)

        self._catch_signals()
        report = self._attempt.run(connected)
        return _exit_code(report)

    def _catch_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)

    def _on_stop(self, signum: int, frame: object) -> NoReturn:
        """Ray sends SIGTERM and kills after 3 s: the report first, and nothing that could block after it."""
        del frame
        report = self._attempt.last_words(Cancelled(f"stopped by {signal.Signals(signum).name}"))
        self._attempt.keep(report)
        if self._owns_cluster:
            from trainer.run import launch

            launch.kill_own_cluster()
        os._exit(_exit_code(report))


def process_start() -> float:
    """When this process began, Unix seconds."""
    import psutil

    return float(psutil.Process().create_time())


def _exit_code(report: Any) -> int:
    state: Reported = report.state
    by_error = {SpecError.__name__: ExitCode.BAD_INPUT, Paused.__name__: ExitCode.DONE}  # did as it was asked
    return int(by_error.get(report.error.type if report.error else "", state.exit_code))
