"""Copies everything a process prints, its C libraries included, into a file."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

_CHUNK = 65536


@contextmanager
def tee_output(log: BinaryIO) -> Iterator[None]:
    """While open, file descriptors 1 and 2 go to where they went before and into `log`."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    reading, writing = os.pipe()
    os.dup2(writing, 1)
    os.dup2(writing, 2)
    os.close(writing)
    pump = threading.Thread(target=_pump, args=(reading, saved[0], log.fileno()), daemon=True)
    pump.start()
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(saved[0], 1)  # the last writers of the pipe: the pump sees its end
        os.dup2(saved[1], 2)
        pump.join(timeout=5)  # a child process that kept the pipe must not keep us
        for descriptor in saved:
            os.close(descriptor)


def _pump(reading: int, terminal: int, log: int) -> None:
    """Takes everything, also where one end takes nothing: a writer of a pipe that nobody reads hangs."""
    while chunk := os.read(reading, _CHUNK):
        for end in (log, terminal):
            with suppress(OSError):  # a full disk, a terminal that went away
                _write_all(end, chunk)
    os.close(reading)


def _write_all(end: int, chunk: bytes) -> None:
    while chunk:
        chunk = chunk[os.write(end, chunk) :]
