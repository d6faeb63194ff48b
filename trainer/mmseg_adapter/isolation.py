"""Several runs in one process: what mmengine keeps in global registries, and how it is forgotten."""

from __future__ import annotations

import logging
from typing import Any

from mmengine.logging import MMLogger
from mmengine.utils import ManagerMixin


def quiet_logger(name: str) -> None:
    """Makes a logger `name` the newest, which mmengine logs to: this one lets only errors through."""
    if not MMLogger.check_instance_created(name):
        MMLogger.get_instance(name, log_level="ERROR")


def forget_run(runner: Any) -> None:
    """Ends a run's loader processes, closes its log files and drops it from mmengine's registries.

    Left to garbage collection, a loader worker takes 5 s and each run keeps a file open.
    """
    if runner is not None:
        for loop in (runner._train_loop, runner._val_loop):
            _stop_loader(getattr(loop, "dataloader", None), getattr(loop, "dataloader_iterator", None))
        runner.visualizer.close()
    for kind in _subclasses(ManagerMixin):
        instances = kind.__dict__.get("_instance_dict")
        if not instances:
            continue
        for instance in instances.values():
            for handler in list(getattr(instance, "handlers", ())):
                instance.removeHandler(handler)
                if isinstance(handler, logging.FileHandler):
                    handler.close()
        instances.clear()


def _stop_loader(loader: Any, wrapped_iterator: Any) -> None:
    for iterator in (getattr(loader, "_iterator", None), getattr(wrapped_iterator, "_iterator", None)):
        stop = getattr(iterator, "_shutdown_workers", None)
        if stop is not None:
            stop()


def _subclasses(kind: type) -> list[type]:
    direct: list[type] = kind.__subclasses__()
    return [*direct, *(deeper for child in direct for deeper in _subclasses(child))]
