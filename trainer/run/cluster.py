"""What the nodes of a cluster have, and whether a lost worker went with its node."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import ray

from trainer.base.errors import NodeLost, ResourcesUnavailable, WorkerLost
from trainer.spec.capacity import capacity_problems
from trainer.spec.recipes import Machines
from trainer.spec.resources import Resources

Nodes = Callable[[], list[dict[str, Any]]]  # as `ray.nodes` answers

_RESOURCE_WAIT_SECONDS = 30.0
_VERDICT_SECONDS = 60.0  # Ray takes a node for dead some 10 s after it has fallen silent


def require_resources(
    resources: Resources,
    most: Machines | None = None,
    *,
    nodes: Nodes = ray.nodes,
    wait_seconds: float = _RESOURCE_WAIT_SECONDS,
    ask: Callable[[Resources], None] | None = None,
) -> None:
    """Refuses what the cluster can never give; nodes may still be joining for `wait_seconds`.

    Args:
        most: what it may grow to, where that is declared: for what fits it waits as long as it takes.
        ask: how more nodes are asked for; returns when they are there.

    Raises:
        ResourcesUnavailable: naming what is asked for and what there is.
    """
    deadline = time.monotonic() + wait_seconds
    while missing := _missing(resources, [node["Resources"] for node in _alive(nodes)]):
        if most is not None and not capacity_problems(resources, most):
            _wait_for_nodes(resources, missing, ask or _hold_once)
            return
        if time.monotonic() > deadline:
            raise ResourcesUnavailable("; ".join(missing))
        time.sleep(1)


def _wait_for_nodes(resources: Resources, missing: list[str], ask: Callable[[Resources], None]) -> None:
    print(f"waiting for nodes: {'; '.join(missing)}; it may grow to what is asked for", flush=True)
    begun = time.monotonic()
    ask(resources)
    print(f"nodes have come after {time.monotonic() - begun:.0f} s", flush=True)


def _hold_once(resources: Resources) -> None:
    """Takes all that the workers take and gives it back: what is taken in vain, an autoscaler brings."""
    from ray.util.placement_group import placement_group, remove_placement_group

    bundle: dict[str, float] = {"CPU": resources.cpus_per_worker}
    if resources.gpus_per_worker:
        bundle["GPU"] = resources.gpus_per_worker
    group = placement_group([bundle] * resources.workers)
    try:
        ray.get(group.ready())
    finally:
        remove_placement_group(group)


def places(cpus: float, gpus: float, *, nodes: Nodes = ray.nodes) -> int:
    """How many workers of this size the nodes have room for, were they empty."""
    return sum(_places(node["Resources"], cpus, gpus) for node in _alive(nodes))


def machines(nodes: Nodes = ray.nodes) -> Machines:
    """What all nodes have together, whole GPUs and CPUs."""
    alive = [node["Resources"] for node in _alive(nodes)]
    gpus, cpus = (int(sum(node.get(kind, 0) for node in alive)) for kind in ("GPU", "CPU"))
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


def _missing(wanted: Resources, nodes: list[dict[str, float]]) -> list[str]:
    """What is too much for all nodes together, else what no single one has for a worker."""
    workers, cpus, gpus = wanted.workers, wanted.cpus_per_worker, wanted.gpus_per_worker
    asked = {"CPU": (workers * cpus, cpus), "GPU": (workers * gpus, gpus)}
    totals = {kind: sum(node.get(kind, 0) for node in nodes) for kind in asked}
    missing = [
        f"/resources asks for {total:g} {kind}, the cluster has {totals[kind]:g}"
        for kind, (total, _) in asked.items()
        if total > totals[kind]
    ]
    if not missing and sum(_places(node, cpus, gpus) for node in nodes) < workers:
        worker = f"{cpus:g} CPU" + (f" and {gpus:g} GPU" if gpus else "")
        missing = [f"/resources asks for {workers} worker(s) of {worker}, the nodes have no room for so many"]
    return missing
