"""The queue's policy on a simulated lab: how fast it decides, how full the cluster is, how long people wait.

10,000 experiments of 40 users on 1,000 GPUs, of 1 to 64 GPUs each, sizes and durations skewed as in real
clusters (most are small and short); 7 in 10 say how long they may last, and then 1.1 to 3 times what they
take; half of those of low priority may be preempted. 1.1 times as many GPU-hours are asked for as there
are, so that a queue builds up. `utilisation` is the share of GPU-hours used of those that could have been:
of all of the cluster's, or of what was asked for at the time where that was less. `decision_ms` is of each
decision in the simulation, `full_queue_ms` of one with all experiments waiting at once, in CPU time: what
else a machine does is left out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from benchmarks._lab import BEGIN, PRIORITIES, Asked, Lab, ask
from service.scheduling.amounts import Amount
from service.scheduling.decide import decide
from service.scheduling.snapshot import Rules, Snapshot

_LOAD = 1.1
_REPEATS = 9


def waits(asked: Sequence[Asked]) -> dict[str, Any]:
    """Hours from POST to the first beginning, by priority."""
    found = {}
    for name, priority in PRIORITIES.items():
        hours = sorted(
            (each.first_began - each.row.submitted_at).total_seconds() / 3600
            for each in asked
            if each.row.priority == priority and each.first_began is not None
        )
        found[name] = {
            "experiments": len(hours),
            "median_hours": round(statistics.median(hours), 2),
            "p95_hours": round(hours[int(0.95 * len(hours))], 2),
            "longest_hours": round(hours[-1], 2),
        }
    return found


def full_queue(asked: Sequence[Asked], capacity: Amount, rules: Rules) -> list[float]:
    """Milliseconds of decisions in which everything waits, and a third of the cluster is taken."""
    rows = tuple(replace(each.row, submitted_at=BEGIN, queued_at=BEGIN) for each in asked)
    there = Amount(capacity.gpus / 3 * 2, capacity.cpus, capacity.places)
    snapshot = Snapshot(
        now=BEGIN + timedelta(hours=3), capacity=there, maximum=capacity, waiting=rows, rules=rules
    )
    found = []
    for _ in range(_REPEATS):
        began = time.process_time()
        decide(snapshot)
        found.append(1000 * (time.process_time() - began))
    return found


def measure(number: int, gpus: int, *, users: int, seed: int, tick: timedelta) -> dict[str, Any]:
    """All figures of one simulation."""
    rules, capacity = Rules(), Amount(gpus, 5 * gpus, float("inf"))
    asked = ask(number, gpus=gpus, users=users, load=_LOAD, seed=seed)
    full = full_queue(asked, capacity, rules)
    outcome = Lab(asked, capacity, rules, tick).run()
    milliseconds = sorted(1000 * seconds for seconds in outcome.decision_seconds)
    return {
        "experiments": number,
        "gpus": gpus,
        "seed": seed,
        "simulated_hours": round(outcome.hours, 1),
        "decisions": len(milliseconds),
        "decision_ms": {
            "median": round(statistics.median(milliseconds), 2),
            "p99": round(milliseconds[int(0.99 * len(milliseconds))], 2),
            "longest": round(milliseconds[-1], 2),
        },
        "longest_queue": outcome.longest_queue,
        "full_queue_ms": round(statistics.median(full), 2),
        "utilisation": round(outcome.utilisation, 4),
        "preemptions": outcome.preemptions,
        "waiting": waits(asked),
    }


def main() -> None:
    """Prints one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true", help="on one line")
    parser.add_argument("--small", action="store_true", help="300 experiments on 64 GPUs: seconds")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.small:
        result = measure(300, 64, users=5, seed=args.seed, tick=timedelta(minutes=2))
    else:
        result = measure(10_000, 1_000, users=40, seed=args.seed, tick=timedelta(minutes=1))
    print(json.dumps(result, indent=None if args.json else 1))


if __name__ == "__main__":
    main()
