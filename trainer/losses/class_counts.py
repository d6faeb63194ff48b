"""How often each class occurs, checked and floored, as the priors and weights need it.

A class that never occurs is counted once: log 0 and 1 / 0 would make NaN of every loss, and a class without
a single pixel has no better estimate than "rarer than all others". Weights and margins stop at those of the
rarest class that occurs. Letters: K classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

FLOOR = 1


def floored_counts(class_counts: Sequence[int]) -> Tensor:
    """(K,) float64 counts, those below `FLOOR` raised to it.

    Args:
        class_counts: how many pixels, or images, each class has in the training split; K >= 1 integers >= 0.

    Raises:
        ValueError: no class at all, a negative count, a count that is no integer, or none above zero.
    """
    problems = [
        f"class {index}: {count!r}"
        for index, count in enumerate(class_counts)
        if not count >= 0 or count % 1  # so NaN and infinity are refused as well
    ]
    if problems:
        raise ValueError(f"class counts must be integers >= 0, got {', '.join(problems[:5])}")
    if not any(class_counts):
        raise ValueError(
            f"none of the {len(class_counts)} classes occurs; at least one count must be above 0"
        )
    return torch.tensor(list(class_counts), dtype=torch.float64).clamp(min=FLOOR)
