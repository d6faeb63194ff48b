"""A row that is tried again waits for a while first: kept as its reason to wait, and read from there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

_CODE = "retry"


def resting(error: str, until: datetime) -> dict[str, Any]:
    """The reason to wait of a row whose attempt ended in `error`, and that is not to begin before `until`."""
    return {
        "code": _CODE,
        "reason": f"{error} ended its last attempt; the next one is to wait for a while",
        "would_run": f"from {until:%H:%M:%S} UTC on, once there is room",
        "until": until.isoformat(),
    }


def rests_until(reason: Mapping[str, Any] | None) -> datetime | None:
    """Before when a row with this reason to wait is not to begin; None where it may at once."""
    if reason is None or reason.get("code") != _CODE:
        return None
    return datetime.fromisoformat(str(reason["until"]))
