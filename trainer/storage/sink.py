"""Where a training loop's records go: metrics.jsonl first, then whoever else listens."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from trainer.base.files import append_whole, full_disk_told
from trainer.storage.orders import Orders

Record = Mapping[str, Any]
_TAIL_BYTES = 64 * 1024


class Sink(Protocol):
    """Takes records of one attempt, in order. `kind` is train, eval or event; `iteration` is global."""

    def emit(self, record: Record) -> None: ...


class FileSink:
    """Appends records as JSON lines with a Unix time; after each it obeys what is asked of the attempt."""

    def __init__(self, path: Path, *, orders: Orders, forward: Callable[[Record], None]) -> None:
        with full_disk_told(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = path.open("ab", buffering=0)
        self._path = path
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
        with full_disk_told(self._path.parent):
            append_whole(self._stream, (json.dumps(clean) + "\n").encode())
        self._forward(clean)
        self._orders.obey(clean)

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


def last_record(path: Path, kind: str) -> dict[str, Any] | None:
    """The newest whole record of `kind`, without reading all of a long file; None where there is none."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            lines = stream.readlines()
    except FileNotFoundError:
        return None
    for line in reversed(lines):
        record = whole_record(line)
        if record is not None and record.get("kind") == kind:
            return record
    return None


def whole_record(line: bytes) -> dict[str, Any] | None:
    """The line's record; None for one that is still being written. NaN, which JSON has not, becomes null."""
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line, parse_constant=lambda _: None)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _is_bad_float(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
