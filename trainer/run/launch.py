"""Plan → worker or workers on the cluster, resources, and what failures of Ray Train mean."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import ray

from trainer.plan import Plan
from trainer.run.actor import train_in_actor
from trainer.run.attempt import Attempt
from trainer.run.cluster import alive_nodes, loss_of, require_nodes, require_room
from trainer.run.near_data import near_data, planned
from trainer.run.ray_compat import lean_trainer, unwrapped
from trainer.run.worker import WorkerResult, ray_worker
from trainer.spec.resources import Resources
from trainer.storage.directories import AttemptDir
from trainer.task import Task

# The controller asks its workers how they are at this interval; the default of 2 s is added to each run.
# Source: gloo's transport/tcp/pair.cc; "Errors" in NCCL's documentation.
_CUT = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "ncclRemoteError")
_ENVIRONMENT = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_COLOR_PREFIX": "0",  # log.txt is read in pages and files: colours would be codes there
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",  # prints through a logger what quiet_imports would keep quiet
}


def joins_cluster() -> bool:
    """Whether `connect` joins a cluster that is there already, and does not start one."""
    return bool(os.environ.get("RAY_ADDRESS"))


def connect(*, show_workers: bool = True) -> bool:
    """Joins the cluster that RAY_ADDRESS names, as `ray job submit` sets it, else starts one of our own.

    Args:
        show_workers: whether what workers print is printed here too.

    Returns:
        Whether the cluster is our own, to be stopped with us. Others on this host are left alone.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    address = os.environ.get("RAY_ADDRESS")
    if not ray.is_initialized():  # to ask what it has: see ask_cluster.py
        ray.init(address=address or "local", logging_level="warning", log_to_driver=show_workers)
    return not address


def kill_own_cluster() -> None:
    """Ends the processes of a cluster that `connect` started, at once: all of them are our descendants."""
    import psutil

    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def launch(plan: Plan) -> WorkerResult:
    """Trains the plan on the cluster and waits for its end; what rank 0 measured.

    One worker needs nothing of Ray Train, whose controller takes longer to start than the worker. The weights
    are the same bit for bit.

    Raises: see `train_in_actor`, `train_under_ray_train`.
    """
    return train_in_actor(plan) if plan.spec.resources.workers == 1 else train_under_ray_train(plan)


def run_attempt(
    attempt: Attempt,
    train: Callable[[Plan], WorkerResult] = launch,
    *,
    make: Callable[[Task], Plan] = planned,
) -> WorkerResult:
    """Prepares and trains an attempt on the cluster that this process is connected to.

    Args:
        make: makes the plan, where the data are; survives pickling.

    Raises: see `near_data`, `require_nodes`, `launch`.
    """
    most = attempt.task.max_cluster
    plan = attempt.prepare(lambda task: near_data(partial(make, task), most=most, waits=attempt.waits))
    require_nodes(plan.spec.resources, most, waits=attempt.waits)
    require_room(plan.spec.resources, waits=attempt.waits)
    attempt.mark("plan")
    print(
        f"training {plan.spec.schedule.iterations} iterations on {plan.spec.resources.workers} worker(s)",
        flush=True,
    )
    outcome = train(plan)
    attempt.marked(outcome["marks"])
    attempt.mark("ray teardown")
    return outcome


def train_under_ray_train(plan: Plan) -> WorkerResult:
    """Trains the plan on any number of workers under Ray Train; what rank 0 measured.

    Raises: see `under_ray_train`.
    """
    outcome: WorkerResult = under_ray_train(
        ray_worker, plan.model_dump_json(), plan.spec.resources, plan.attempt_dir
    )
    return outcome


def under_ray_train(
    function: Callable[[dict[str, Any]], Any], plan: str, resources: Resources, directory: AttemptDir
) -> Any:
    """What rank 0 returns of a function that every rank calls with {"plan": …}, all ranks in one group.

    Args:
        plan: as JSON.
        directory: where Ray Train may keep files of its own.

    Raises:
        WorkerLost: a worker died without raising; NodeLost: with its node.
        BaseException: what a worker raised, as it was.
    """
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.v2.api.exceptions import TrainingFailedError

    per_worker: dict[str, float] = {"CPU": resources.cpus_per_worker}
    if resources.gpus_per_worker:
        per_worker["GPU"] = resources.gpus_per_worker
    trainer = lean_trainer()(
        function,
        train_loop_config={"plan": plan},
        scaling_config=ScalingConfig(
            num_workers=resources.workers,
            use_gpu=bool(resources.gpus_per_worker),
            resources_per_worker=per_worker,
        ),
        run_config=RunConfig(
            name="ray_train",
            storage_path=str(directory.path),
            # Retrying is the reconciler's decision: it sees causes that Ray Train does not. Where a node went
            # while the group started, that would be tried for ever; a busy host may be late twice.
            failure_config=FailureConfig(max_failures=0, controller_failure_limit=2),
        ),
    )
    nodes = alive_nodes()
    try:
        result = trainer.fit()
    except TrainingFailedError as error:
        raise cause_of(error, nodes) from error
    return result.return_value


def cause_of(error: Exception, nodes: frozenset[str] = frozenset()) -> BaseException:
    """What really happened: the first worker's own exception, or a loss where none left a word of its own.

    `nodes`: those that were alive when it began. Memory that ran out is no loss: it would run out again.
    """
    failures: dict[int, Any] = getattr(error, "worker_failures", {})
    own: list[BaseException] = [unwrapped(failure) for _, failure in sorted(failures.items())]
    raised = [failure for failure in own if not isinstance(failure, ray.exceptions.RayError)]
    if raised and not all(map(_is_cut, raised)):
        return _most_telling(raised)
    for failure in own:
        out_of_memory: bool = isinstance(failure, ray.exceptions.OutOfMemoryError)
        if out_of_memory:
            return failure
    silent = [failure for failure in own if isinstance(failure, ray.exceptions.ActorUnavailableError)]
    died = [failure for failure in own if failure not in raised]
    failure = next(iter([*silent, *died, *raised]), getattr(error, "controller_failure", error))
    return loss_of(failure, nodes)


def _most_telling(raised: list[BaseException]) -> BaseException:
    """One rank's error makes the others' collectives fail: those say the least."""
    from torch.distributed import DistError

    def is_echo(failure: BaseException) -> bool:
        return isinstance(failure, DistError) or _is_cut(failure)

    return next((failure for failure in raised if not is_echo(failure)), raised[0])


def _is_cut(failure: BaseException) -> bool:
    """Whether a rank says no more than that another one has gone, in gloo's or NCCL's words.

    The system closes a killed worker's connections at once; Ray takes seconds to see that it has gone.
    """
    return isinstance(failure, RuntimeError) and any(words in str(failure) for words in _CUT)
