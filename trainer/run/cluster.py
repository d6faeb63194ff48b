"""What the nodes of a cluster have, and whether a lost worker went with its node."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ray

from trainer.base.errors import NodeLost, ResourcesUnavailable, WorkerLost
from trainer.spec.capacity import capacity_problems
from trainer.spec.recipes import Machines
from trainer.spec.resources import Resources
from trainer.storage.waiting import Waits

Nodes = Callable[[], list[dict[str, Any]]]  # as `ray.nodes` answers

# By Ray's defaults a node takes a minute to give up a head that has gone, and half a minute to join the next.
_RESOURCE_WAIT_SECONDS = 180.0
_LOOK_SECONDS = 0.5
_VERDICT_SECONDS = 90.0  # Ray takes a node for dead some 65 s after it has fallen silent, by its defaults


@contextmanager
def printed(code: str, reason: str, would_run: str) -> Iterator[None]:
    """The `Waits` of who has no attempt to say it in."""
    print(f"waiting for {code}: {reason}; {would_run}", flush=True)
    yield


def require_nodes(
    resources: Resources,
    most: Machines | None = None,
    *,
    asker: str = "/resources",
    waits: Waits = printed,
    nodes: Nodes = ray.nodes,
    wait_seconds: float = _RESOURCE_WAIT_SECONDS,
    ask: Callable[[Resources], None] | None = None,
) -> None:
    """Returns once the cluster has this, whoever holds it; refuses what it can never give.

    Nodes may still be joining for `wait_seconds`.

    Args:
        most: what it may grow to, where that is declared: for what fits it waits as long as it takes.
        asker: who asks, in messages.
        waits: told why, while it waits.
        ask: how more nodes are asked for; returns when all of it was free.

    Raises:
        ResourcesUnavailable: naming what is asked for and what there is.
    """
    missing = _missing(resources, _resources(nodes), asker)
    if missing and most is not None and not capacity_problems(resources, most):
        with waits("nodes", "; ".join(missing), "it may grow to what is asked for"):
            (ask or _hold_once)(resources)
    elif missing:
        with waits("nodes", "; ".join(missing), f"one that joins within {wait_seconds:g} s will do"):
            _wait_for_joining(resources, asker, nodes, wait_seconds)


def require_room(
    resources: Resources,
    *,
    asker: str = "/resources",
    waits: Waits = printed,
    free: Callable[[], Mapping[str, float]] = ray.available_resources,
    ask: Callable[[Resources], None] | None = None,
) -> None:
    """Returns once nobody else holds what the cluster has of this, however long; see `require_nodes`.

    It is asked for meanwhile, so that an autoscaler may bring more.
    """
    taken = _taken(resources, free(), asker)
    if taken:
        with waits("room", taken, "work that ends, or a node that joins, makes room"):
            (ask or _hold_once)(resources)


def _wait_for_joining(resources: Resources, asker: str, nodes: Nodes, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while missing := _missing(resources, _resources(nodes), asker):
        if time.monotonic() > deadline:
            raise ResourcesUnavailable("; ".join(missing))
        time.sleep(1)


def _hold_once(resources: Resources) -> None:
    """Takes all that the workers take and gives it back: what is taken in vain, an autoscaler brings."""
    from ray.util.placement_group import placement_group, remove_placement_group

    bundle: dict[str, float] = {"CPU": resources.cpus_per_worker}
    if resources.gpus_per_worker:
        bundle["GPU"] = resources.gpus_per_worker
    group = placement_group([bundle] * resources.workers)
    try:
        while not group.wait(_LOOK_SECONDS):  # a signal is heard in between
            pass
    finally:
        remove_placement_group(group)


def places(cpus: float, gpus: float, *, nodes: Nodes = ray.nodes) -> int:
    """How many workers of this size the nodes have room for, were they empty."""
    return sum(_places(node, cpus, gpus) for node in _resources(nodes))


def machines(nodes: Nodes = ray.nodes) -> Machines:
    """What all nodes have together, whole GPUs and CPUs."""
    gpus, cpus = (int(sum(node.get(kind, 0) for node in _resources(nodes))) for kind in ("GPU", "CPU"))
    return Machines(gpus, cpus)


def alive_nodes(nodes: Nodes = ray.nodes) -> frozenset[str]:
    """The ids of the nodes that Ray takes for alive."""
    return frozenset(str(node["NodeID"]) for node in _alive(nodes))


def loss_of(
    failure: BaseException,
    before: frozenset[str],
    *,
    nodes: Nodes = ray.nodes,
    sleep: Callable[[float], object] = time.sleep,
) -> WorkerLost:
    """The loss that Ray's `failure` tells of: NodeLost where one of the nodes `before`, alive when it began,
    is gone.

    A worker that merely does not answer is waited for until Ray has noticed that its node is dead.
    """
    message = ": ".join([type(failure).__name__, *str(failure).strip().splitlines()[:1]])
    if not before:
        return WorkerLost(message)
    silent = isinstance(failure, ray.exceptions.ActorUnavailableError)
    deadline = time.monotonic() + (_VERDICT_SECONDS if silent else 0)
    while before <= alive_nodes(nodes):
        if time.monotonic() >= deadline:
            return WorkerLost(message)
        sleep(0.5)
    return NodeLost(message)


def _alive(nodes: Nodes) -> list[dict[str, Any]]:
    return [node for node in nodes() if node["Alive"]]


def _places(node: dict[str, float], cpus: float, gpus: float) -> int:
    by_gpu = int(node.get("GPU", 0) / gpus) if gpus else None
    by_cpu = int(node.get("CPU", 0) / cpus) if cpus else None
    return min(by for by in (by_gpu, by_cpu, 1_000_000) if by is not None)


def _resources(nodes: Nodes) -> list[dict[str, float]]:
    return [node["Resources"] for node in _alive(nodes)]


def _taken(wanted: Resources, free: Mapping[str, float], asker: str) -> str:
    """What others hold of what is asked for; empty where enough is free in all."""
    asked = {"CPU": wanted.workers * wanted.cpus_per_worker, "GPU": wanted.workers * wanted.gpus_per_worker}
    return "; ".join(
        f"{asker} asks for {total:g} {kind}, {free.get(kind, 0):g} of the cluster's are free"
        for kind, total in asked.items()
        if total > free.get(kind, 0)
    )


def _missing(wanted: Resources, nodes: list[dict[str, float]], asker: str) -> list[str]:
    """What is too much for all nodes together, else what no single one has for a worker."""
    workers, cpus, gpus = wanted.workers, wanted.cpus_per_worker, wanted.gpus_per_worker
    asked = {"CPU": (workers * cpus, cpus), "GPU": (workers * gpus, gpus)}
    totals = {kind: sum(node.get(kind, 0) for node in nodes) for kind in asked}
    missing = [
        f"{asker} asks for {total:g} {kind}, the cluster has {totals[kind]:g}"
        for kind, (total, _) in asked.items()
        if total > totals[kind]
    ]
    if not missing and sum(_places(node, cpus, gpus) for node in nodes) < workers:
        worker = f"{cpus:g} CPU" + (f" and {gpus:g} GPU" if gpus else "")
        missing = [f"{asker} asks for {workers} worker(s) of {worker}, the nodes have no room for so many"]
    return missing
