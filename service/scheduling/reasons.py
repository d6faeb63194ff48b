"""Why one waits, and what would let it begin: numbers, from which the words are made when somebody asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import isinf
from typing import NamedTuple

from service.scheduling.amounts import Amount
from service.scheduling.snapshot import Account
from service.scheduling.usage import Exceeded
from trainer.base.schema_words import counted


class Code(StrEnum):
    """The kind of reason."""

    QUOTA = "quota"  # of its user or project
    TOO_LARGE = "too_large"  # for what the cluster may become
    MAX_RUNNING = "max_running"  # so many run at once
    CAPACITY = "capacity"  # the first for which there is no room
    BEHIND = "behind"  # there is no room, and others come first
    RESERVED = "reserved"  # there is room, which is kept for the first
    MAKING_ROOM = "making_room"  # others were told to stop, and have not ended yet


@dataclass(frozen=True, slots=True)
class Remedy:
    """What would let one begin: `gone` have begun or left, `more` is free, and quotas are higher."""

    gone: tuple[str, ...]
    more: Amount
    quotas: Mapping[Account, Amount]


class Reason(NamedTuple):
    """Why one waits. `after_others`: those before it take what comes free.

    `free` is what is left for it, of `capacity`; `expected`, if known, when there will be enough at the
    latest.
    """

    code: Code
    request: Amount
    free: Amount
    capacity: Amount
    exceeded: tuple[Exceeded, ...] = ()
    after_others: bool = False
    expected: datetime | None = None

    @property
    def more(self) -> Amount:
        """So much is missing."""
        return self.request.beyond(self.capacity if self.code is Code.TOO_LARGE else self.free)

    @property
    def text(self) -> str:
        """For people, one line. It does not count those before it: those change all the time."""
        match self.code:
            case Code.QUOTA:
                return "; ".join(map(_quota_text, self.exceeded))
            case Code.TOO_LARGE:
                return f"asks for {self.request}; the cluster has, or may have, {self._of(self.capacity)}"
            case Code.MAX_RUNNING:
                places = self.capacity.places
                return f"{places - self.free.places:g} of {places:g} are running"
            case Code.CAPACITY:
                return f"asks for {self.request}; {self._of(self.free)} of {self._of(self.capacity)} are free"
            case Code.BEHIND:
                return f"asks for {self.request}, and others come before it"
            case Code.RESERVED:
                return "there is room, but it is kept for a larger one that comes before it"
            case Code.MAKING_ROOM:
                return "others have been told to stop for it, or stop anyway; it begins when they have ended"

    @property
    def would_run(self) -> str | None:
        """For people, what would let it begin."""
        if self.code is Code.MAX_RUNNING:
            return "once one of them ends"
        needed = [_raise_text(each) for each in self.exceeded]
        if self.after_others:
            needed.append("those before it have begun")
        if any(self.more):
            when = f", which is expected by {_time(self.expected)}" if self.expected is not None else ""
            needed.append(f"{self._there} {_more_text(self.more)} more{when}")
        told = "once " + ", and ".join(needed) if needed else None
        if told and self.code is Code.RESERVED and self.expected is not None:
            told += f"; or with a max_duration that ends before {_time(self.expected)}"
        return told

    @property
    def _there(self) -> str:
        return "the cluster has" if self.code is Code.TOO_LARGE else "there is room for"

    def _of(self, there: Amount) -> str:
        """What there is of the kinds that are asked for."""
        kinds = zip(self.request[:2], there[:2], ("GPU", "CPU"), strict=True)
        told = [counted(max(0, number), kind) for asked, number, kind in kinds if asked and not isinf(number)]
        return " and ".join(told) or counted(there.places, "place")


def _quota_text(each: Exceeded) -> str:
    kinds = zip(each.asked, each.used, each.limit, each.missing, ("GPUs", "CPUs", "at once"), strict=True)
    short = [(asked, used, limit, kind) for asked, used, limit, missing, kind in kinds if missing]
    if each.never:
        told = " and ".join(f"{asked:g} {kind}" for asked, _, limit, kind in short if asked > limit)
        most = " and ".join(f"{limit:g}" for asked, _, limit, _ in short if asked > limit)
        return f"may come to hold {told}, and {each.account} may have {most}, its quota"
    held = " and ".join(f"{used:g} of {limit:g} {kind}" for _, used, limit, kind in short)
    return f"{each.account} has {held}, its quota"


def _raise_text(each: Exceeded) -> str:
    more = _more_text(each.missing)
    if each.never:
        return f"the quota of {each.account} is {more} more (a sweep asks for less by concurrent_trials)"
    return f"{each.account} has {more} less in use, or so much more as quota"


def _more_text(missing: Amount) -> str:
    words = zip(missing, ("GPU", "CPU", "place"), strict=True)
    return " and ".join(counted(number, what) for number, what in words if number)


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
