"""Work on many files in several processes of this machine, none of which outlives this one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import TypeVar

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")


def in_processes(
    work: Callable[[Chunk], Result], chunks: Sequence[Chunk], processes: int
) -> Iterator[Result]:
    """What `work`, which must survive pickling, makes of each chunk, in their order.

    Raises:
        BrokenProcessPool: a process was killed.
    """
    # Spawned: a fork of a process that has threads can hang.
    context = get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_follow_parent) as pool:
        # A process that has not come to `_follow_parent` yet would end of Ctrl-C with a traceback.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            results = pool.map(work, chunks)  # starts them; they inherit the mask
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        yield from results


def _follow_parent() -> None:
    """A process of ours leaves Ctrl-C to its parent, and ends when that is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
