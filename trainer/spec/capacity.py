"""What a cluster may become: a declared maximum, beside which what lives now may be nothing."""

from __future__ import annotations

import re

from trainer.base.errors import Problem
from trainer.spec.recipes import Machines
from trainer.spec.resources import Resources

_PART = re.compile(r"(gpus|cpus)=(\d{1,6})")
_ALLOWED = "gpus=N,cpus=N, such as gpus=8,cpus=128; one left out is none"


def parse_machines(text: str) -> Machines:
    """What `gpus=8,cpus=128` stands for.

    Raises:
        ValueError: it stands for nothing; with what is allowed.
    """
    found: dict[str, int] = {}
    for part in text.split(","):
        matched = _PART.fullmatch(part.strip())
        if matched is None or matched[1] in found:
            raise ValueError(f"{text!r} is refused; allowed: {_ALLOWED}")
        found[matched[1]] = int(matched[2])
    return Machines(found.get("gpus", 0), found.get("cpus", 0))


def machines_text(machines: Machines) -> str:
    """As `parse_machines` reads it."""
    return f"gpus={machines.gpus},cpus={machines.cpus}"


def larger(one: Machines, other: Machines | None) -> Machines:
    """Of each kind what is more."""
    return one if other is None else Machines(max(one.gpus, other.gpus), max(one.cpus, other.cpus))


def capacity_problems(wanted: Resources, most: Machines | None) -> list[Problem]:
    """What is asked for beyond the declared maximum `most`; nothing where none is declared."""
    if most is None:
        return []
    asked = {
        "gpus_per_worker": ("GPU", wanted.workers * wanted.gpus_per_worker, most.gpus),
        "cpus_per_worker": ("CPU", wanted.workers * wanted.cpus_per_worker, most.cpus),
    }
    return [
        Problem(
            f"/resources/{field}",
            f"{wanted.workers} worker(s) take {total:g} {kind}",
            f"at most {there}, all that the cluster may have (REBALANCE_MAX_CLUSTER)",
        )
        for field, (kind, total, there) in asked.items()
        if total > there
    ]
