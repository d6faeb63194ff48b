"""What experiments take and clusters have: GPUs, CPUs, and places among those that may run at once."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import NamedTuple

from trainer.base.schema_words import counted


class Amount(NamedTuple):
    """So much of each; `inf` is without a limit. Shares of a GPU are multiples of 1/8, so sums are exact."""

    gpus: float = 0
    cpus: float = 0
    places: float = 0

    def plus(self, other: Amount) -> Amount:
        """The sum of each."""
        return Amount(self[0] + other[0], self[1] + other[1], self[2] + other[2])

    def minus(self, other: Amount) -> Amount:
        """The difference of each, which may be below 0."""
        return Amount(self[0] - other[0], self[1] - other[1], self[2] - other[2])

    def within(self, limit: Amount) -> bool:
        """Whether all of it is there. What is not asked for is not missed, however little there is."""
        return (
            (self[0] <= limit[0] or not self[0])
            and (self[1] <= limit[1] or not self[1])
            and (self[2] <= limit[2] or not self[2])
        )

    def beyond(self, there: Amount) -> Amount:
        """What of it is missing from what is `there`; of what is not asked for nothing."""
        return Amount(
            *(max(0, asked - found) if asked else 0 for asked, found in zip(self, there, strict=True))
        )

    def common(self, other: Amount) -> Amount:
        """Of each what is less, at least nothing."""
        return Amount(*(max(0, min(one, two)) for one, two in zip(self, other, strict=True)))

    def share_of(self, whole: Amount) -> float:
        """The largest of its shares: Ghodsi et al., Dominant Resource Fairness, NSDI 2011, section 4."""
        return max(_share(self[0], whole[0]), _share(self[1], whole[1]), _share(self[2], whole[2]))

    def __str__(self) -> str:
        """What is asked for in words; a place alone needs none."""
        words = [counted(self.gpus, "GPU"), counted(self.cpus, "CPU")]
        told = " and ".join(word for word, number in zip(words, self, strict=False) if number)
        return told or counted(self.places, "place")


NOTHING = Amount()
UNLIMITED = Amount(inf, inf, inf)


def total(amounts: Iterable[Amount]) -> Amount:
    """The sum of all."""
    gpus = cpus = places = 0.0
    for each in amounts:
        gpus, cpus, places = gpus + each[0], cpus + each[1], places + each[2]
    return Amount(gpus, cpus, places)


def _share(used: float, there: float) -> float:
    if not used:
        return 0.0
    return used / there if there else inf
