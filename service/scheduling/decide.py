"""`decide`: from a snapshot to who begins, who is stopped, who gives up, and why the others wait."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from service.scheduling.amounts import total
from service.scheduling.preemption import may_be_stopped, victims
from service.scheduling.reasons import Code, Reason, Remedy
from service.scheduling.reservation import Release, Reservation, reserve
from service.scheduling.snapshot import Snapshot, Waiting
from service.scheduling.turns import turns
from service.scheduling.usage import Exceeded, Usage


@dataclass(frozen=True)
class Preemption:
    """`id` is to stop so that `by` can begin."""

    id: str
    by: str


@dataclass(frozen=True)
class Decisions:
    """What follows from a snapshot. Each waiting one is in just one of `admit`, `expire`, `reasons`."""

    admit: tuple[str, ...]  # in the order of their turns
    preempt: tuple[Preemption, ...]
    expire: tuple[str, ...]  # have waited longer than they wanted to
    overdue: tuple[str, ...]  # run longer than they may
    reasons: Mapping[str, Reason]  # likewise
    turns: tuple[str, ...]  # of all that were looked at, whether they begin or wait

    def remedy(self, identifier: str, snapshot: Snapshot) -> Remedy:
        """What would let a waiting one begin: were it so, `decide` would admit it."""
        mine = self.reasons[identifier]
        accounts = {each.account for each in mine.exceeded}
        gone = []
        for other, reason in self.reasons.items():
            if other == identifier:
                break
            if mine.after_others or accounts & {each.account for each in reason.exceeded}:
                gone.append(other)
        quotas = {
            each.account: snapshot.rules.quota(each.account).plus(each.missing) for each in mine.exceeded
        }
        return Remedy(tuple(gone), mine.more, quotas)


def decide(snapshot: Snapshot) -> Decisions:
    """What follows from `snapshot`, whatever the order of its rows.

    One after another as `turns` has them: who exceeds a quota is passed over; who fits begins, unless that
    is kept for one before; for the first that does not fit others are stopped, where that suffices, else
    what it needs is kept. Only experiments with all their workers count as fitting.
    """
    return _Turns(snapshot).decisions()


class _Turns:
    """What is left, while those that wait are looked at one by one."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._now = snapshot.now
        self._usage = Usage(snapshot)
        self._free = snapshot.capacity.minus(total(each.request for each in snapshot.running))
        self._soon = total(each.request for each in snapshot.running if each.leaving)
        self._candidates = may_be_stopped(snapshot)
        self._reservation: Reservation | None = None
        self._head: Waiting | None = None
        self._others = False  # somebody before takes what comes free
        self._admitted: list[Waiting] = []
        self._preempted: list[Preemption] = []
        self._reasons: dict[str, Reason] = {}

    def decisions(self) -> Decisions:
        """Goes through all of them."""
        waiting = sorted(self._snapshot.waiting, key=lambda each: (each.submitted_at, each.id))
        expired = [
            each.id for each in waiting if each.max_wait and self._now - each.queued_at >= each.max_wait
        ]
        gone, order = set(expired), []
        for one in turns(self._snapshot, [each for each in waiting if each.id not in gone], self._usage):
            order.append(one.id)
            reason = self._reason(one)
            if reason is None:
                self._admit(one)
            else:
                self._reasons[one.id] = reason
        late = [each.id for each in self._snapshot.running if each.overdue(self._now)]
        return Decisions(
            admit=tuple(each.id for each in self._admitted),
            preempt=tuple(self._preempted),
            expire=tuple(expired),
            overdue=tuple(sorted(late)),
            reasons=self._reasons,
            turns=tuple(order),
        )

    def _admit(self, one: Waiting) -> None:
        self._free = self._free.minus(one.request)
        self._usage.begin(one)
        self._admitted.append(one)
        if self._reservation is not None:
            self._reservation.note(one, self._now)

    def _reason(self, one: Waiting) -> Reason | None:
        """Why it waits; None where it begins."""
        exceeded = self._usage.exceeded(one)
        if not one.request.within(self._snapshot.maximum):
            return self._too_large(one, exceeded)
        fits = one.request.within(self._free)
        allowed = self._reservation is None or self._reservation.allows(one, self._now)
        if exceeded:
            after_others = not (fits and allowed) and self._others
            return self._because(Code.QUOTA, one, exceeded=exceeded, after_others=after_others)
        if fits and allowed:
            return None
        if not fits and allowed and self._room_made(one):
            return self._promise(one)
        return self._kept_waiting(one, fits=fits)

    def _too_large(self, one: Waiting, exceeded: tuple[Exceeded, ...]) -> Reason:
        return Reason(Code.TOO_LARGE, one.request, self._free, self._snapshot.maximum, exceeded)

    def _room_made(self, one: Waiting) -> bool:
        """Whether it fits once those have ended that stop anyway, or that are now stopped for it."""
        there = self._free.plus(self._soon)
        if one.request.within(there):
            return True
        if self._head is not None or not self._candidates:
            return False  # what comes free might be kept for the head by then, and they were stopped in vain
        chosen = victims(one, there, self._candidates)
        for each in chosen:
            self._preempted.append(Preemption(each.id, one.id))
            self._candidates.remove(each)
        self._soon = self._soon.plus(total(each.request for each in chosen))
        return bool(chosen)

    def _promise(self, one: Waiting) -> Reason:
        """Sets aside what is free now, and of what will be soon the rest."""
        reason = self._because(Code.MAKING_ROOM, one, after_others=self._others)
        now = one.request.common(self._free)
        self._free = self._free.minus(now)
        self._soon = self._soon.minus(one.request.minus(now))
        self._usage.begin(one)
        if self._reservation is not None:
            self._reservation.note(one, self._now)
        self._others = True
        return reason

    def _kept_waiting(self, one: Waiting, *, fits: bool) -> Reason:
        """For the first of these what it needs is kept."""
        if fits:
            assert self._reservation is not None
            code, expected = Code.RESERVED, self._reservation.at
        elif self._head is not None:
            code, expected = Code.BEHIND, None
        else:
            self._head = one
            there = self._free.plus(self._soon)
            self._reservation = reserve(one, there, self._releases(), self._snapshot)
            only_places = not any(one.request.beyond(self._free)[:2])
            code = Code.MAX_RUNNING if only_places else Code.CAPACITY
            expected = self._reservation.at if self._reservation is not None else None
        reason = self._because(code, one, after_others=self._others, expected=expected)
        self._others = True
        return reason

    def _releases(self) -> Iterator[Release]:
        """What is given back in time, of what runs and of what was just admitted."""
        stopped = {each.id for each in self._preempted}
        for each in self._snapshot.running:
            if each.ends_at is not None and not each.leaving and each.id not in stopped:
                yield Release(each.ends_at, each.request)
        for one in self._admitted:
            if one.max_duration is not None:
                yield Release(self._now + one.max_duration, one.request)

    def _because(
        self,
        code: Code,
        one: Waiting,
        *,
        exceeded: tuple[Exceeded, ...] = (),
        after_others: bool = False,
        expected: datetime | None = None,
    ) -> Reason:
        there = self._snapshot.capacity
        return Reason(code, one.request, self._free, there, exceeded, after_others, expected)
