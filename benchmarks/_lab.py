"""A lab's months in seconds: experiments that come, wait, run and end, as the queue's policy decides."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from random import Random

from service.scheduling.amounts import NOTHING, Amount, total
from service.scheduling.decide import Decisions, decide
from service.scheduling.snapshot import Rules, Running, Snapshot, Waiting

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
_SIZES = ((1, 45), (2, 15), (4, 15), (8, 15), (16, 5), (32, 4), (64, 1))  # GPUs, and how many of a hundred
_CPUS_PER_GPU = 4
PRIORITIES = {"low": -50, "normal": 0, "high": 50}
_OF_TEN = ("low",) * 2 + ("normal",) * 7 + ("high",)
_SINCE_CHECKPOINT = timedelta(minutes=10)  # lost at most when one is preempted


@dataclass
class Asked:
    """One experiment: when it comes, how long it really takes, and what its owner says of it."""

    row: Waiting
    takes: timedelta
    preemptible: bool
    first_began: datetime | None = None
    preempted: int = 0


@dataclass
class Outcome:
    """What a simulation measured; integrals are in GPU-hours."""

    used: float = 0.0
    possible: float = 0.0  # of the cluster, where so much was asked for
    decision_seconds: list[float] = field(default_factory=list)
    longest_queue: int = 0
    hours: float = 0.0
    preemptions: int = 0

    @property
    def utilisation(self) -> float:
        """Of what is possible."""
        return self.used / self.possible


def ask(number: int, *, gpus: int, users: int, load: float, seed: int) -> list[Asked]:
    """`number` experiments of `users`, some much busier than others, in the order in which they come.

    None takes more than an eighth of the cluster.

    Args:
        load: GPU-hours that are asked for in an hour, of those that a cluster of `gpus` has.
    """
    draw = Random(seed)
    busy = [1 / (1 + rank) for rank in range(users)]
    sizes, weights = zip(*((size, weight) for size, weight in _SIZES if size <= gpus / 8), strict=True)
    found, at = [], BEGIN
    mean = 2.2 * sum(size * weight for size, weight in zip(sizes, weights, strict=True)) / sum(weights)
    for index in range(number):
        at += timedelta(hours=draw.expovariate(load * gpus / mean))
        size = draw.choices(sizes, weights)[0]
        takes = timedelta(hours=min(24.0, max(0.05, draw.lognormvariate(0.4, 0.9))))
        named = draw.choice(_OF_TEN)
        request = Amount(size, size * _CPUS_PER_GPU, 1)
        row = Waiting(
            id=f"e{index:05}",
            user=f"user{draw.choices(range(users), busy)[0]:02}",
            priority=PRIORITIES[named],
            request=request,
            most=request,
            submitted_at=at,
            queued_at=at,
            max_duration=takes * draw.uniform(1.1, 3) if draw.random() < 0.7 else None,
        )
        found.append(Asked(row, takes, preemptible=named == "low" and draw.random() < 0.5))
    return found


class Lab:
    """A cluster and its queue. `tick`: as often is decided while something changes."""

    def __init__(self, asked: Sequence[Asked], capacity: Amount, rules: Rules, tick: timedelta) -> None:
        self._all = {each.row.id: each for each in asked}
        self._coming = [each.row for each in reversed(asked)]
        self._capacity = capacity
        self._rules = rules
        self._tick = tick
        self._now = BEGIN
        self._waiting: dict[str, Waiting] = {}
        self._running: dict[str, Running] = {}
        self._ends: list[tuple[datetime, str, datetime]] = []  # when, what, and of which beginning
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Until everything has ended.

        Raises:
            AssertionError: more was given than there is.
        """
        while self._coming or self._waiting or self._running:
            self._now += self._tick
            changed = self._end() + self._come()
            if changed and self._waiting:
                self._act(self._decide())
            self._measure()
        return self.outcome

    def _come(self) -> int:
        before = len(self._waiting)
        while self._coming and self._coming[-1].submitted_at <= self._now:
            row = self._coming.pop()
            self._waiting[row.id] = row
        return len(self._waiting) - before

    def _end(self) -> int:
        """Those that are done, and those that were told to stop in the last tick."""
        ended = 0
        while self._ends and self._ends[0][0] <= self._now:
            _, identifier, began = heappop(self._ends)
            running = self._running.get(identifier)
            if running is not None and running.started_at == began:
                del self._running[identifier]
                ended += 1
        for running in [each for each in self._running.values() if each.leaving]:
            self._requeue(running)
            ended += 1
        return ended

    def _requeue(self, running: Running) -> None:
        asked = self._all[running.id]
        done = max(timedelta(0), self._now - running.started_at - _SINCE_CHECKPOINT / 2)
        asked.takes = max(self._tick, asked.takes - done)
        asked.preempted += 1
        self.outcome.preemptions += 1
        del self._running[running.id]
        self._waiting[running.id] = replace(asked.row, queued_at=self._now)

    def _decide(self) -> Decisions:
        snapshot = Snapshot(
            now=self._now,
            capacity=self._capacity,
            maximum=self._capacity,
            running=tuple(self._running.values()),
            waiting=tuple(self._waiting.values()),
            rules=self._rules,
        )
        began = time.process_time()
        decisions = decide(snapshot)
        self.outcome.decision_seconds.append(time.process_time() - began)
        self.outcome.longest_queue = max(self.outcome.longest_queue, len(self._waiting))
        return decisions

    def _act(self, decisions: Decisions) -> None:
        for identifier in decisions.admit:
            row, asked = self._waiting.pop(identifier), self._all[identifier]
            asked.first_began = asked.first_began or self._now
            lasts = None if row.max_duration is None else self._now + row.max_duration
            self._running[identifier] = Running(
                id=row.id,
                user=row.user,
                priority=row.priority,
                request=row.request,
                most=row.most,
                submitted_at=row.submitted_at,
                queued_at=row.queued_at,
                started_at=self._now,
                ends_at=lasts,
                preemptible=asked.preemptible,
            )
            heappush(self._ends, (self._now + asked.takes, identifier, self._now))
        for each in decisions.preempt:
            self._running[each.id] = replace(self._running[each.id], leaving=True)

    def _measure(self) -> None:
        used = total(each.request for each in self._running.values())
        assert used.within(self._capacity), f"{used} of {self._capacity} at {self._now}"
        wanted = used.plus(total(each.request for each in self._waiting.values()))
        hours = self._tick.total_seconds() / 3600
        self.outcome.used += hours * used.gpus
        self.outcome.possible += hours * min(self._capacity.gpus, wanted.gpus)
        self.outcome.hours += hours if used != NOTHING else 0
