"""`python -m sweeps.apart`: a trial on several workers, in a process of its own that ends with its driver.

Its Task is the first line of stdin, which stays open as long as the driver lives; its TaskEnd is the line of
stdout that begins with MARK. Training is Ray Train's, on the cluster that RAY_ADDRESS names.
"""

from __future__ import annotations

import os
import sys
import threading

from sweeps.task import Task, TaskEnd, end_of
from trainer import launch
from trainer.attempt import Attempt
from trainer.errors import Paused, WorkerLost
from trainer.worker import Outcome

MARK = "sweeps.apart: "


def main() -> int:
    task = Task.model_validate_json(sys.stdin.readline())
    threading.Thread(target=_end_with_driver, daemon=True).start()
    end: TaskEnd = end_of(task.make().run(_work, unreported=(Paused, WorkerLost)))
    print(f"{MARK}{end.model_dump_json()}", flush=True)
    return 0


def _work(attempt: Attempt) -> Outcome:
    launch.connect()
    attempt.mark("ray")
    return launch.run_attempt(attempt)


def _end_with_driver() -> None:
    """Nobody else would: a driver that is killed cannot stop what it started."""
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
