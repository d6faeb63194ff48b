"""The policy over time, in a simulated lab: nobody starves, and the cluster is full."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from benchmarks._lab import BEGIN, Asked, Lab, ask
from service.scheduling.amounts import UNLIMITED, Amount
from service.scheduling.snapshot import Rules
from tests.unit.service.scheduling.snapshots import HOUR, waiting

TICK = timedelta(minutes=5)
CLUSTER = Amount(8, UNLIMITED.cpus, UNLIMITED.places)


def asked(identifier: str, gpus: float, *, at: timedelta, takes: timedelta, **changes: object) -> Asked:
    """One that comes `at` after the beginning."""
    row = waiting(identifier, gpus, **changes)
    row = replace(row, submitted_at=BEGIN + at, queued_at=BEGIN + at)
    return Asked(row, takes, preemptible=False)


@pytest.mark.parametrize("duration", [None, HOUR / 2], ids=["nobody knows how long", "known"])
@pytest.mark.parametrize("priority", [0, 100])
def test_an_endless_stream_starves_nobody(priority: int, duration: timedelta | None) -> None:
    """One that needs the whole cluster begins, though small ones of somebody else fill it all the time.

    Of equal priority: by its turn. Behind higher ones: after `ageing`, and once those that ran have ended.
    """
    rules = Rules(ageing=10 * HOUR, patience=HOUR)
    stream = [
        asked(
            f"s{n:04}",
            1,
            at=n * TICK / 2,
            takes=HOUR / 2,
            user="eve",
            priority=priority,
            max_duration=duration,
        )
        for n in range(320)
    ]
    large = asked("large", 8, at=HOUR, takes=HOUR, user="ann")
    everything = sorted([*stream, large], key=lambda each: each.row.submitted_at)
    Lab(everything, CLUSTER, rules, TICK).run()
    assert large.first_began is not None
    waited = large.first_began - large.row.submitted_at
    assert waited <= rules.ageing + HOUR / 2 + 2 * TICK
    if priority == 0:
        assert waited <= rules.patience + HOUR / 2 + 2 * TICK


@pytest.mark.parametrize("seed", range(3))
def test_a_small_lab(seed: int) -> None:
    """Everything ends, nearly all of what is possible is used, and higher priorities wait less."""
    everything = ask(300, gpus=64, users=5, load=1.1, seed=seed)
    outcome = Lab(everything, Amount(64, 320, UNLIMITED.places), Rules(), 2 * TICK).run()
    assert outcome.utilisation > 0.95
    waited: dict[int, list[timedelta]] = {}
    for each in everything:
        assert each.first_began is not None
        waited.setdefault(each.row.priority, []).append(each.first_began - each.row.submitted_at)
    low, normal, high = (sum(waited[p], timedelta()) / len(waited[p]) for p in (-50, 0, 50))
    assert high < normal < low
    assert outcome.preemptions == sum(each.preempted for each in everything)
