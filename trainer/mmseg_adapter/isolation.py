"""Several runs in one process: what mmengine keeps in global registries, and how it is forgotten."""

from __future__ import annotations

import logging
from typing import Any

import torch
from mmengine.logging import MMLogger

from trainer.mmseg_adapter.mmengine_compat import built_loops, global_registries, inner_iterator
from trainer.mmseg_adapter.torch_compat import end_workers, kept_iterator


def set_backends(*, threads: int, deterministic: bool) -> None:
    """Sets what a reused process would keep of its last run, and mmengine only ever switches on.

    The number of threads changes bits. On GPUs cuDNN tries for its fastest algorithms unless `deterministic`;
    float32 convolutions may use TF32 then, matrix products never (torch's own defaults).
    """
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = not deterministic
    torch.backends.cudnn.deterministic = deterministic
    torch.backends.cudnn.allow_tf32 = not deterministic
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.use_deterministic_algorithms(deterministic, warn_only=True)


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
