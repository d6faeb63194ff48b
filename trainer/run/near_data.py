"""Where data sets are looked at: in the job itself, or on a worker where the job's node only starts jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import ray

from trainer.base.data_roots import DataRoot
from trainer.data.folders import resolve_spec
from trainer.plan import Plan, make_plan
from trainer.run.actor import in_actor
from trainer.run.cluster import Nodes, require_nodes, require_room
from trainer.run.reported import say
from trainer.spec.recipes import Machines
from trainer.spec.resources import Resources
from trainer.storage.waiting import Waits
from trainer.task import Task

Found = TypeVar("Found")
_LOOKING = Resources(workers=1, cpus_per_worker=1)
_ASKER = "reading the data"


def near_data(look: Callable[[], Found], *, most: Machines | None, waits: Waits) -> Found:
    """What `look` returns, called where the data are: here, if this process' node has CPUs of the cluster.

    A head without any has not to have the data mounted, nor memory for them. There `look` runs on a worker
    with one CPU, which is waited for; what it prints comes back as workers' output does.

    Args:
        look: survives pickling, as does what it returns.
        most: what the cluster may grow to, where that is declared.
        waits: told why, while it waits.

    Raises:
        ResourcesUnavailable: no node has a CPU, and none will.
        WorkerLost: the worker died; NodeLost: with its node.
        Exception: what `look` raised, as it was.
    """
    if reads_here(ray.get_runtime_context().get_node_id()):
        return look()
    require_nodes(_LOOKING, most, asker=_ASKER, waits=waits)
    require_room(_LOOKING, asker=_ASKER, waits=waits)
    found: Found = in_actor(look, _LOOKING)
    return found


def reads_here(here: str, nodes: Nodes = ray.nodes) -> bool:
    """Whether work is done on the node with the id `here`."""
    return any(node["NodeID"] == here and node["Resources"].get("CPU", 0) >= 1 for node in nodes())


def planned(task: Task) -> Plan:
    """The plan of a task whose data set is resolved."""
    return make_plan(task, say)


def resolved_and_planned(task: Task, data_roots: Sequence[DataRoot] | None) -> Plan:
    """The plan of a task whose data set nobody has looked at yet.

    Raises: see `resolve_spec`, `make_plan`.
    """
    spec = resolve_spec(task.spec, data_roots=data_roots, storage=task.layout, most=task.max_cluster)
    return planned(task.model_copy(update={"spec": spec}))
