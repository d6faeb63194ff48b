"""Snapshots: drawn by hypothesis, and made by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from hypothesis import strategies as st

from service.scheduling.amounts import NOTHING, UNLIMITED, Amount, total
from service.scheduling.snapshot import Account, Rules, Running, Snapshot, Waiting

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
CAPACITY = Amount(8, 32, 6)
RULES = Rules(ageing=24 * HOUR, patience=2 * HOUR, protected=timedelta(minutes=10))
USERS = ("ann", "bob", "eve")
PROJECTS = ("", "roads", "scans")


def amount(gpus: float = 0, cpus: float = 1) -> Amount:
    """What one experiment asks for: a place as well."""
    return Amount(gpus, cpus, 1)


def waiting(identifier: str, gpus: float = 1, *, ago: timedelta = HOUR, **changes: Any) -> Waiting:
    """One that waits since `ago`."""
    at = NOW - ago
    request = amount(gpus)
    row = Waiting(id=identifier, user="ann", request=request, most=request, submitted_at=at, queued_at=at)
    return replace(row, **changes)


def running(identifier: str, gpus: float = 1, *, ago: timedelta = HOUR, **changes: Any) -> Running:
    """One that began `ago`, as soon as it was posted."""
    at = NOW - ago
    request = amount(gpus)
    row = Running(
        id=identifier,
        user="bob",
        request=request,
        most=request,
        submitted_at=at,
        queued_at=at,
        started_at=at,
    )
    return replace(row, **changes)


def snapshot(
    *rows: Running | Waiting, capacity: Amount = CAPACITY, now: datetime = NOW, rules: Rules = RULES
) -> Snapshot:
    """One of a cluster that does not grow."""
    return Snapshot(
        now=now,
        capacity=capacity,
        maximum=capacity,
        running=tuple(row for row in rows if isinstance(row, Running)),
        waiting=tuple(row for row in rows if isinstance(row, Waiting)),
        rules=rules,
    )


def snapshots() -> st.SearchStrategy[Snapshot]:
    """What runs fits into the cluster; quotas may have been lowered since it began.

    Numbers of rows are hypothesis' to make small; all else is drawn by one seed, which costs a tenth.
    """
    return st.builds(_drawn, st.integers(0, 2**32), st.integers(0, 8), st.integers(0, 10))


def crowded() -> st.SearchStrategy[Snapshot]:
    """A full cluster of what may be stopped, and few that wait, of higher priority."""
    return st.builds(_crowded, st.integers(0, 2**32), st.integers(1, 8), st.integers(1, 4))


def _crowded(seed: int, num_running: int, num_waiting: int) -> Snapshot:
    draw = Random(seed)
    found = _drawn(seed, num_running, num_waiting)
    stoppable = tuple(
        replace(each, preemptible=draw.random() < 0.9, priority=draw.choice([-50, -50, 0, 0, 50]))
        for each in found.running
    )
    pressing = tuple(replace(each, priority=50, queued_at=NOW - HOUR) for each in found.waiting)
    full = Amount(*total(each.request for each in stoppable)).plus(Amount(draw.choice([0, 0.5, 1]), 4, 1))
    return replace(found, capacity=full, maximum=CAPACITY, running=stoppable, waiting=pressing, rules=RULES)


def _drawn(seed: int, num_running: int, num_waiting: int) -> Snapshot:
    draw = Random(seed)
    capacity = draw.choice([CAPACITY, CAPACITY, Amount(8, 32, UNLIMITED.places), Amount(2, 8, 2)])
    found: list[Running] = []
    for number in range(num_running):
        new = _running(draw, f"r{number}")
        if total(each.request for each in [*found, new]).within(capacity):
            found.append(new)
    return Snapshot(
        now=NOW,
        capacity=capacity,
        maximum=draw.choice([capacity, capacity.plus(Amount(4, 16, 0))]),
        running=tuple(found),
        waiting=tuple(_waiting(draw, f"w{number}") for number in range(num_waiting)),
        rules=_rules(draw),
    )


def _rules(draw: Random) -> Rules:
    """Some quotas, some weights."""
    weights = {Account("user", "ann"): 2.0, Account("project", "roads"): 0.5}
    return replace(
        RULES,
        users={name: _limit(draw) for name in USERS if draw.random() < 0.3},
        projects={name: _limit(draw) for name in PROJECTS[1:] if draw.random() < 0.3},
        any_user=_limit(draw) if draw.random() < 0.3 else UNLIMITED,
        weights=weights if draw.random() < 0.5 else {},
    )


def _limit(draw: Random) -> Amount:
    none = UNLIMITED.gpus
    return Amount(draw.choice([1, 4, none]), draw.choice([8, none]), draw.choice([1, 3, none]))


def _item(draw: Random) -> dict[str, Any]:
    queued_at = NOW - _minutes(draw, 3000)
    request = amount(draw.choice([0, 0, 0.5, 1, 1, 2, 4, 8, 12]), draw.choice([1, 2, 8, 16]))
    return {
        "user": draw.choice(USERS),
        "project": draw.choice(PROJECTS),
        "priority": draw.choice([-50, 0, 0, 50]),
        "request": request,
        "most": request.plus(draw.choice([NOTHING, NOTHING, NOTHING, Amount(1, 2, 0)])),
        "queued_at": queued_at,
        "submitted_at": queued_at - _minutes(draw, 3000),
    }


def _running(draw: Random, identifier: str) -> Running:
    of = _item(draw)
    return Running(
        id=identifier,
        started_at=min(of["queued_at"] + _minutes(draw, 3000), NOW),
        ends_at=NOW + _minutes(draw, 600) if draw.random() < 0.6 else None,
        preemptible=draw.random() < 0.5,
        leaving=draw.random() < 0.2,
        **of,
    )


def _waiting(draw: Random, identifier: str) -> Waiting:
    return Waiting(
        id=identifier,
        max_wait=_minutes(draw, 3000) if draw.random() < 0.3 else None,
        max_duration=_minutes(draw, 600) if draw.random() < 0.5 else None,
        **_item(draw),
    )


def _minutes(draw: Random, most: int) -> timedelta:
    return timedelta(minutes=draw.randint(1, most))
