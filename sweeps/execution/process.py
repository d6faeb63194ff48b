"""`python -m sweeps.execution.process`: a trial on several workers, in a process that ends with its driver.

Its Task is the first line of stdin, which stays open as long as the driver lives; its TaskEnd is the line of
stdout that begins with MARK. Training is Ray Train's, on the cluster that RAY_ADDRESS names.
"""

from __future__ import annotations

import os
import sys
import threading

from sweeps.execution.task import TaskEnd, end_of
from trainer.base.errors import WorkerLost
from trainer.run import launch
from trainer.run.attempt import Attempt
from trainer.run.worker import WorkerResult
from trainer.task import Task

MARK = "sweeps.execution.process: "


def main() -> int:
    task = Task.model_validate_json(sys.stdin.readline())
    threading.Thread(target=_end_with_driver, daemon=True).start()
    end: TaskEnd = end_of(Attempt(task).run(_work, unreported=(WorkerLost,)))
    print(f"{MARK}{end.model_dump_json()}", flush=True)
    return 0


def _work(attempt: Attempt) -> WorkerResult:
    launch.connect()
    attempt.mark("ray")
    return launch.run_attempt(attempt)


def _end_with_driver() -> None:
    """Nobody else would: a driver that is killed cannot stop what it started."""
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
