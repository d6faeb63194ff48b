"""One event, one line: how the service's own log reads, for people or for programs."""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

from trainer.base.text import storable

LogFormat = Literal["text", "json"]

# Of the request that this code works for, "" outside of any. Threads that routes run in inherit it.
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")

_STANDARD = {*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName", "color_message"}


def formatter(style: LogFormat) -> logging.Formatter:
    """What makes lines of `style` out of records."""
    return _JsonLines() if style == "json" else _Lines("%(asctime)s %(levelname)s %(name)s: %(message)s")


class _Lines(logging.Formatter):
    """`extra` fields follow the message as name=value."""

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record) + "".join(
            f" {name}={value}" for name, value in extra_of(record).items()
        )


class _JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, event, then the `extra` fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
            **extra_of(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return storable(json.dumps(line, ensure_ascii=False, default=str))


def extra_of(record: logging.LogRecord) -> dict[str, Any]:
    """What was logged as `extra`, and the request that it was logged for."""
    given = {
        name: value for name, value in record.__dict__.items() if name not in _STANDARD and name[0] != "_"
    }
    request = REQUEST_ID.get()
    return given if not request or "request" in given else {**given, "request": request}
