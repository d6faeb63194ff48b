"""Trials on one worker, one after another in a process that keeps torch and mmseg imported: a Ray actor."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from sweeps.execution.task import end_of
from trainer.mmseg_adapter import quiet_imports
from trainer.run.attempt import Attempt
from trainer.task import Task

if TYPE_CHECKING:
    from trainer.run.worker import WorkerResult


class WarmWorker:
    """Runs tasks; nothing of one reaches the next: `trainer.run.worker`, `mmseg_adapter.isolation`."""

    def __init__(self) -> None:
        with quiet_imports():
            pass
        self._began = 0
        _freeze()

    def run(self, task: str) -> str:
        """A Task as JSON in, its TaskEnd as JSON out."""
        end = end_of(Attempt(Task.model_validate_json(task)).run(_work))
        _forget_device_memory()
        self._began += 1
        if self._began == 1:
            _freeze()  # what the first has imported, it stays as well
        else:
            gc.collect()
        return end.model_dump_json()


def _freeze() -> None:
    """Keeps what is there out of collections: each would walk through all of torch and mmseg, and a run has
    three of them (mmengine's data sets make two).
    """
    gc.collect()
    gc.freeze()


def _work(attempt: Attempt) -> WorkerResult:
    from trainer.run.worker import train_alone

    plan = attempt.prepare()
    attempt.mark("plan")
    outcome = train_alone(plan)
    attempt.marked(outcome["marks"])
    return outcome


def _forget_device_memory() -> None:
    import torch

    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
