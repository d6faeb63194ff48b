"""Where a training loop's records go: metrics.jsonl first, then whoever else listens."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from trainer.base.files import append_whole, full_disk_told
from trainer.storage.orders import Orders
from trainer.storage.port import StoredFile

Record = Mapping[str, Any]
_TAIL_BYTES = 64 * 1024


class Sink(Protocol):
    """Takes records of one attempt, in order. `kind` is train, eval or event; `iteration` is global."""

    def emit(self, record: Record) -> None: ...


class FileSink:
    """Appends records as JSON lines with a Unix time; after each it obeys what is asked of the attempt."""

    def __init__(self, file: StoredFile, *, orders: Orders, forward: Callable[[Record], None]) -> None:
        with full_disk_told(file.local.parent):
            self._stream = file.appending()
        self._file = file
        self._orders = orders
        self._forward = forward

    def emit(self, record: Record) -> None:
        """Writes one line.

        Raises:
            Cancelled: the attempt shall not go on, see `Orders.obey`.
            DiskFull: there is no room for the line.
        """
        stamped = {"time": time.time(), **record}
        # NaN and infinity are not JSON; a curve has a gap there.
        clean = {key: value for key, value in stamped.items() if not _is_bad_float(value)}
        with full_disk_told(self._file.local.parent):
            append_whole(self._stream, (json.dumps(clean) + "\n").encode())
        self._forward(clean)
        self._orders.obey(clean)

    def close(self) -> None:
        self._stream.close()


class NullSink:
    """For ranks that report nothing."""

    def emit(self, record: Record) -> None:
        del record


def read_records(file: StoredFile) -> list[dict[str, Any]]:
    """All whole lines of a metrics.jsonl; a line cut short by a kill is left out."""
    return [record for line in file.lines() if (record := whole_record(line)) is not None]


def last_record(file: StoredFile, kind: str) -> dict[str, Any] | None:
    """The newest whole record of `kind`, without reading all of a long file; None where there is none."""
    for line in reversed(list(file.lines(max(0, file.size() - _TAIL_BYTES)))):
        record = whole_record(line)
        if record is not None and record.get("kind") == kind:
            return record
    return None


def whole_record(line: bytes) -> dict[str, Any] | None:
    """The line's record; None for one that is still being written. NaN, which JSON has not, becomes null."""
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(
            line.decode("utf-8", "replace"), parse_constant=lambda _: None, parse_float=_finite
        )
        if b"\\ud" in line.lower():  # an escaped half of a pair is no text that can be answered
            record = json.loads(json.dumps(record, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _finite(digits: str) -> float | None:
    """1e999 is JSON, and no number that could be answered."""
    value = float(digits)
    return value if math.isfinite(value) else None


def _is_bad_float(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
