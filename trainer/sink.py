"""Where a training loop's records go: metrics.jsonl first, then whoever else listens."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from trainer.errors import Cancelled

Record = Mapping[str, Any]


class Sink(Protocol):
    """Takes records of one attempt, in order. `kind` is train, eval or event; `iteration` is global."""

    def emit(self, record: Record) -> None: ...


class FileSink:
    """Appends records as JSON lines with a Unix time, and stops an attempt that has been replaced."""

    def __init__(self, path: Path, *, superseded_by: Path, forward: Callable[[Record], None]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = path.open("a", encoding="utf-8", buffering=1)
        self._superseded_by = superseded_by
        self._forward = forward

    def emit(self, record: Record) -> None:
        """Writes one line.

        Raises:
            Cancelled: a newer attempt has begun; two must never write the same checkpoints.
        """
        stamped = {"time": time.time(), **record}
        # NaN and infinity are not JSON; a curve has a gap there.
        clean = {key: value for key, value in stamped.items() if not _is_bad_float(value)}
        self._stream.write(json.dumps(clean) + "\n")
        self._forward(clean)
        if self._superseded_by.exists():
            raise Cancelled("a newer attempt at this experiment has begun")

    def close(self) -> None:
        self._stream.close()


class NullSink:
    """For ranks that report nothing."""

    def emit(self, record: Record) -> None:
        del record


def read_records(path: Path) -> list[dict[str, Any]]:
    """All whole lines of a metrics.jsonl; a line cut short by a kill is left out."""
    records = []
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    for line in text.splitlines():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


def _is_bad_float(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
