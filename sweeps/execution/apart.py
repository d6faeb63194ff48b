"""A trial on several workers, run in a process of its own: `sweeps.execution.process`, from outside."""

from __future__ import annotations

import os
import subprocess
import sys

import ray

from sweeps.execution.process import MARK
from sweeps.execution.task import TaskEnd
from trainer.task import Task


def run_apart(task: Task) -> TaskEnd:
    """How the task ended; what its process prints is in the attempt's log.txt."""
    environment = {
        **os.environ,
        "RAY_ADDRESS": ray.get_runtime_context().gcs_address,
        "PYTHONIOENCODING": "utf-8:backslashreplace",
    }
    with subprocess.Popen(
        [sys.executable, "-m", "sweeps.execution.process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env=environment,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(task.model_dump_json() + "\n")
        process.stdin.flush()
        last, end = "", None
        for line in process.stdout:  # Ray may copy a worker's output after our own last line
            last = line.strip() or last
            if line.startswith(MARK):
                end = TaskEnd.model_validate_json(line.removeprefix(MARK))
        code = process.wait()
    return end or TaskEnd(end="lost", message=f"the trial's process ended with {code}: {last[:500]}")
