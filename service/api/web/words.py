"""How values are written on a page: times, durations, numbers, bytes; filters of the templates."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from trainer.base.text import printable_lines, size

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def time_text(at: datetime | None) -> str:
    """For example `2026-01-02 03:04 UTC`, empty for None."""
    return "" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def duration(seconds: float | None) -> str:
    """In one or two units, such as `2 h 05 min`, empty for None. Rounded up, so that it does not flicker."""
    if seconds is None:
        return ""
    whole = max(0, round(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{-(-whole // _MINUTE)} min"
    if whole < _DAY:
        minutes = -(-whole // _MINUTE)
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = -(-whole // _HOUR)
    return f"{hours // 24} d {hours % 24} h"


def percent(value: float | None) -> str:
    """A score with two decimals, as the tables have it; a dash where there is none."""
    return "–" if value is None else f"{value:.2f}"


def signed(value: float | None) -> str:
    """A difference in points with its sign; a dash where there is none."""
    return "–" if value is None else f"{value:+.2f}"


def pretty(value: Any) -> str:
    """JSON to be read: indented, in the order of its fields, hidden letters as escapes."""
    return printable_lines(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def compact(value: Any) -> str:
    """JSON in one line; nothing for what is not there."""
    return "" if value is None else printable_lines(json.dumps(value, ensure_ascii=False, default=str))


FILTERS = {
    "at": time_text,
    "duration": duration,
    "percent": percent,
    "signed": signed,
    "size": size,
    "pretty": pretty,
    "compact": compact,
}
