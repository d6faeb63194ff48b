"""One worker of ours on the cluster, without Ray Train: a Ray actor, and what became of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import ray

from trainer.plan import Plan
from trainer.run.cluster import alive_nodes, loss_of
from trainer.run.ray_compat import unwrapped
from trainer.run.worker import WorkerResult, train_alone
from trainer.spec.resources import Resources

# What the worker printed last is still on its way, some tenths of a second, and Ray does not say when it has
# come. Ray itself waits half a second for it, but only when its driver exits and log.txt is closed.
_LAST_LINES_SECONDS = 1.0


class WorkerActor:
    """A process of a worker's own."""

    def work(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What the function makes of the arguments."""
        return function(*arguments)


def train_in_actor(plan: Plan) -> WorkerResult:
    """Trains a plan for one worker in an actor of its own, and waits for the end; what it measured.

    Raises: see `answer_of`.
    """
    outcome: WorkerResult = in_actor(_train, plan.spec.resources, plan.model_dump_json())
    return outcome


def _train(plan: str) -> WorkerResult:
    begun = time.time()
    outcome = train_alone(Plan.model_validate_json(plan))
    return {**outcome, "marks": [("worker", begun), *outcome["marks"]]}


def in_actor(function: Callable[..., Any], resources: Resources, *arguments: Any) -> Any:
    """What a function makes of the arguments, in an actor with the resources of one worker.

    All of them survive pickling: a module's function, a plan as JSON.

    Raises: see `answer_of`.
    """
    actor = start_actor(WorkerActor, cpus=resources.cpus_per_worker, gpus=resources.gpus_per_worker)
    nodes = alive_nodes()
    try:
        return answer_of(actor.work.remote(function, *arguments), nodes)
    finally:
        ray.kill(actor)  # what it holds is free at once
        time.sleep(_LAST_LINES_SECONDS)


def start_actor(kind: type, *, cpus: float, gpus: float) -> Any:
    """A handle to a new actor with exactly these resources, for which it may have to wait.

    It ends with this process, and Ray does not start it again: who retries sees causes that Ray does not.
    """
    options = {"num_cpus": cpus, "num_gpus": gpus, "max_restarts": 0, "max_task_retries": 0}
    return ray.remote(kind).options(**options).remote()


def answer_of(call: Any, nodes: frozenset[str]) -> Any:
    """What a method of an actor returned.

    Args:
        call: its reference.
        nodes: those that were alive when the actor began.

    Raises:
        WorkerLost: the actor died without raising; NodeLost: with its node.
        ray.exceptions.OutOfMemoryError: Ray ended it for want of memory: no loss, it would run out again.
        BaseException: what the method raised, as it was.
    """
    try:
        return ray.get(call)
    except ray.exceptions.RayTaskError as error:
        raise unwrapped(error) from error
    except ray.exceptions.OutOfMemoryError:
        raise
    except ray.exceptions.RayError as error:
        raise loss_of(error, nodes) from error
