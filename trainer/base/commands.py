"""What commands share: an end by SIGTERM, the storage that they look in, what an option accepts."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from trainer.base.ends import ExitCode


@contextlib.contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """SIGTERM unwinds, so that what was started here ends as well, and what was written stays whole."""
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def terminate(number: int, frame: object) -> NoReturn:
    """The handler, for who has to put it back."""
    del number, frame
    raise SystemExit(ExitCode.TERMINATED)


def usual_storage(data_dir: Path | None) -> Path:
    """The jobs' own storage, so that they find what a command leaves, and it what they left.

    Args:
        data_dir: of `rebalance serve`, where one was named.
    """
    if data_dir is None and (named := os.environ.get("REBALANCE_STORAGE")):
        return Path(named)
    return (data_dir or Path(os.environ.get("REBALANCE_DATA_DIR") or "~/.rebalance")) / "storage"


def positive(text: str) -> int:
    """A whole number of an option, at least 1.

    Raises:
        ArgumentTypeError: it is none.
    """
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is refused; allowed: a whole number, at least 1")
    return value
