"""What we use of torch that its documentation does not promise: seen in 2.13, held by a test.

Each private name stands here once. Where torch moves one, `tests/unit/trainer/mmseg_adapter/test_compat.py`
says so.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

DispatchMode: Any = TorchDispatchMode  # sees every operator that runs, in whatever module


def kept_iterator(loader: Any) -> Any:
    """The iterator that a DataLoader with persistent workers keeps; None where there is none."""
    return getattr(loader, "_iterator", None)


def require(holds: bool) -> None:
    """What must hold of sizes, for torch.export too, which takes it for granted from here on.

    Raises:
        RuntimeError: it does not.
    """
    torch._check(holds)  # type: ignore[no-untyped-call]


def end_workers(iterator: Any) -> None:
    """Ends the loader processes of a DataLoader's iterator, at once; nothing where it has none.

    Otherwise that is left to its __del__, which takes up to 5 s for each process.
    """
    stop = getattr(iterator, "_shutdown_workers", None)
    if stop is not None:
        stop()


def words_of(error: Exception) -> str:
    """What an error says that may come from a loader process: torch puts the traceback there before it."""
    text = str(error)
    if not text.startswith(f"Caught {type(error).__name__} in DataLoader worker process"):
        return text
    return text.rpartition(f"{type(error).__name__}: ")[2].strip()
