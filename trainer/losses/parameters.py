"""Settings of losses, checked: one message for each that names it, says what it was and what is allowed."""

from __future__ import annotations

import math


def require(name: str, value: float, holds: bool, allowed: str) -> None:
    """Refuses a setting that is out of bounds, infinite or not a number.

    Args:
        name: as the caller knows it.
        value: what it was.
        holds: the bounds, evaluated; any comparison with NaN is False.
        allowed: the bounds in words, for example "0 <= beta < 1".

    Raises:
        ValueError: `holds` is False, or `value` is infinite or NaN.
    """
    if not holds or not math.isfinite(value):
        raise ValueError(f"{name} is {value}; allowed: {allowed}")
