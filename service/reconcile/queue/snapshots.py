"""A snapshot for the queue's policy, from rows of the database and what the cluster says that it has."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from service.reconcile.cluster import Backend
from service.scheduling.amounts import UNLIMITED, Amount
from service.scheduling.policy import Current
from service.scheduling.snapshot import Running, Snapshot, Waiting
from service.store.queue.lines import Line
from trainer.spec.recipes import Machines

_FRESH_SECONDS = 5.0  # nodes come and go more slowly than the reconciler looks


class Room:
    """How much there is for jobs; the cluster is asked only where that counts. Any thread may ask."""

    def __init__(self, backend: Backend, places: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._backend = backend
        self._places = places
        self._clock = clock
        self._asked_at = float("-inf")
        self._machines: Machines | None = None

    def whole(self, current: Current) -> Amount:
        """All of it, whoever holds it.

        Raises:
            BackendUnreachable: it counts, and the cluster does not say.
        """
        if not current.count_capacity:
            return Amount(UNLIMITED.gpus, UNLIMITED.cpus, self._places)
        now = self._clock()
        if self._machines is None or now - self._asked_at > _FRESH_SECONDS:
            self._machines = self._backend.machines()
            self._asked_at = now
        return Amount(self._machines.gpus, self._machines.cpus, self._places)


def snapshot_of(
    lines: Sequence[Line], whole: Amount, current: Current, now: datetime, *, without: Collection[str] = ()
) -> Snapshot:
    """The moment `now`; those `without` are not looked at, though they wait."""
    return Snapshot(
        now=now,
        capacity=whole,
        maximum=whole,
        running=tuple(_running(line) for line in lines if line.state.has_job),
        waiting=tuple(_waiting(line) for line in lines if line.waits_at(now) and line.id not in without),
        rules=current.rules,
    )


def _waiting(line: Line) -> Waiting:
    return Waiting(
        id=line.id,
        user=line.owner or "",
        project=line.project or "",
        priority=line.priority,
        request=Amount(line.gpus, line.cpus, 1),
        most=Amount(line.most_gpus, line.most_cpus, 1),
        submitted_at=line.created_at,
        queued_at=line.since,
        max_wait=_span(line.max_wait) if line.admitted_at is None else None,
        max_duration=_span(line.max_duration),
    )


def _running(line: Line) -> Running:
    began = line.admitted_at or line.updated_at
    return Running(
        id=line.id,
        user=line.owner or "",
        project=line.project or "",
        priority=line.priority,
        request=Amount(line.gpus, line.cpus, 1),
        most=Amount(line.most_gpus, line.most_cpus, 1),
        submitted_at=line.created_at,
        queued_at=min(line.since, began),
        started_at=began,
        ends_at=_ends_at(line),
        preemptible=line.preemptible,
        leaving=line.leaving,
    )


def _ends_at(line: Line) -> datetime | None:
    """The latest that it may last, counted from when its job was seen running."""
    lasts = _span(line.max_duration)
    if lasts is None or line.job_since is None or line.job_status != "running":
        return None
    return line.job_since + lasts


def _span(seconds: int | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
