"""Several runs in one process: what mmengine keeps in global registries, and how it is forgotten."""

from __future__ import annotations

import logging
from typing import Any

from mmengine.logging import MMLogger

from trainer.mmseg_adapter.mmengine_compat import built_loops, global_registries, inner_iterator
from trainer.mmseg_adapter.torch_compat import end_workers, kept_iterator


def quiet_logger(name: str) -> None:
    """Makes a logger `name` the newest, which mmengine logs to: this one lets only errors through."""
    if not MMLogger.check_instance_created(name):
        MMLogger.get_instance(name, log_level="ERROR")


def forget_run(runner: Any) -> None:
    """Ends a run's loader processes, closes its log files and drops it from mmengine's registries.

    Left to garbage collection, a loader worker takes 5 s and each run keeps a file open.
    """
    if runner is not None:
        for loop in built_loops(runner):
            end_workers(kept_iterator(getattr(loop, "dataloader", None)))
            end_workers(inner_iterator(getattr(loop, "dataloader_iterator", None)))
        runner.visualizer.close()
    for instances in global_registries():
        for instance in instances.values():
            for handler in list(getattr(instance, "handlers", ())):
                instance.removeHandler(handler)
                if isinstance(handler, logging.FileHandler):
                    handler.close()
        instances.clear()
