"""Mean, spread, interval and the paired t-test of tables and figures, in plain Python, without SciPy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

# Points. Two scores that differ by one pixel differ by more, even in a split of 1e9 pixels (1e-8 of a mean
# over classes); what adding up 255 classes rounds away is less (2e-12).
_ROUNDING = 1e-10
_PRECISION = 1e-12  # of a quantile, relative


def mean(values: Sequence[float]) -> float | None:
    """Arithmetic mean; None of nothing."""
    return math.fsum(values) / len(values) if values else None


def deviation(values: Sequence[float]) -> float | None:
    """Standard deviation of a sample (divisor n - 1); None of fewer than two values."""
    centre = mean(values) if len(values) > 1 else None
    if centre is None:
        return None
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / (len(values) - 1))


class Interval(NamedTuple):
    """Its two ends."""

    low: float
    high: float


def interval(values: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """Where the true mean lies with this confidence if values are normal; None of fewer than two.

    Mean ± t·s/√n, with Student's t of n - 1 degrees of freedom. Source: Student 1908.
    """
    centre, spread = mean(values), deviation(values)
    if centre is None or spread is None:
        return None
    half = _quantile(confidence, len(values) - 1) * spread / math.sqrt(len(values))
    return Interval(centre - half, centre + half)


def paired_p_value(differences: Sequence[float]) -> float | None:
    """Two-sided p-value of a paired t-test: that differences as large arise where the true mean is 0.

    None with fewer than two differences, or where all are equal and not 0: they show no spread to judge by.
    All 0 gives 1. Equal is what differs by rounding alone. Small samples: it is exact if differences are
    normal, and says little for two or three.

    Args:
        differences: in points, of scores in percent.

    Source: Student 1908.
    """
    centre, spread = mean(differences), deviation(differences)
    if centre is None or spread is None:
        return None
    if max(differences) - min(differences) <= _ROUNDING:
        return 1.0 if abs(centre) <= _ROUNDING else None
    t = centre / (spread / math.sqrt(len(differences)))
    return 1.0 - _within(abs(t), len(differences) - 1)


def _quantile(confidence: float, freedom: int) -> float:
    """The t for which P(-t < T < t) is `confidence`, by bisection."""
    low, high = 0.0, 1.0
    while _within(high, freedom) < confidence:
        high *= 2
    while high - low > _PRECISION * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < confidence else (low, middle)
    return high


def _within(t: float, freedom: int) -> float:
    """P(-t < T < t) of Student's t with integer degrees of freedom, a finite sum.

    Source: Abramowitz and Stegun, 26.7.3 and 26.7.4.
    """
    theta = math.atan2(t, math.sqrt(freedom))
    sine, cosine = math.sin(theta), math.cos(theta)
    if freedom == 1:
        return 2 * theta / math.pi
    odd = freedom % 2
    term = cosine if odd else 1.0
    total = term
    for k in range(2 + odd, freedom - 1, 2):
        term *= cosine**2 * (k - 1) / k
        total += term
    inner = sine * total
    return min(1.0, 2 / math.pi * (theta + inner) if odd else inner)
