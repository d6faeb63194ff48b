"""What the evaluation of a split counted: over all pictures, and in each.

Letters: N pictures, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

from trainer.results.metrics import Counts


@dataclass(frozen=True)
class SplitCounts:
    """Counts in pixels.

    Attributes:
        confusion: (K, K) int64, rows = target.
        names: of the N pictures, sorted; each once.
        tp, fp, fn: (N, K) int64 of each picture, in the order of `names`.
    """

    confusion: Counts
    names: tuple[str, ...]
    tp: Counts
    fp: Counts
    fn: Counts

    @property
    def images(self) -> int:
        return len(self.names)
