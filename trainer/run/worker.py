"""train(plan, sink): one rank of one attempt, knowing nothing of Ray; alone, or as Ray Train calls it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypedDict

from trainer.base.errors import DataError
from trainer.mmseg_adapter import quiet_imports
from trainer.plan import Plan
from trainer.results.confusion_file import write_confusion
from trainer.results.report import AttemptResult
from trainer.storage.orders import Orders
from trainer.storage.sink import FileSink, NullSink, Record, Sink

Marks = list[tuple[str, float]]  # (what was just reached, Unix seconds)


class WorkerResult(TypedDict):
    """What rank 0 hands back, as plain data: an AttemptResult, when each stage was reached, MLflow's gaps."""

    result: dict[str, Any]
    marks: Marks
    tracking_lost: bool


def train(plan: Plan, sink: Sink, mark: Callable[[str], None] = lambda _: None) -> AttemptResult:
    """Trains and evaluates this rank's share of `plan`; the same result on every rank.

    Expects torch.distributed to be initialised where there are several ranks.

    Raises:
        NonFiniteLoss: before the weights were moved by it.
        DataError, torch.cuda.OutOfMemoryError, …: whatever training raises.
    """
    from mmengine.dist import get_rank

    with quiet_imports():
        from trainer.mmseg_adapter.isolation import forget_run, set_backends
        from trainer.mmseg_adapter.model.fit import MISFITS
        from trainer.mmseg_adapter.step.average import scored
        from trainer.mmseg_adapter.torch_compat import words_of
        from trainer.run.evaluations import Evaluations
        from trainer.run.kept import KeptWeights
        from trainer.run.runner import build_runner, refuse_crops

    mark("import")
    set_backends(threads=plan.threads, deterministic=plan.spec.schedule.deterministic)
    kept, evaluations = KeptWeights(plan), Evaluations(plan, sink)
    runner = None
    try:
        runner = build_runner(plan, sink, evaluations)
        evaluations.watch(partial(kept.add, runner))
        mark("build")
        started = time.perf_counter()
        runner.train()
        evaluations.complete(runner)
        seconds = time.perf_counter() - started
        final = kept.deployable(scored(runner), plan.spec.schedule.iterations)
    except DataError as error:
        raise DataError(words_of(error)) from error
    except MISFITS as error:
        refuse_crops(plan, error)
        raise
    finally:
        forget_run(runner)
    checkpoint = kept.write_final(final)
    if get_rank() == 0:
        write_confusion(plan.attempt_dir.confusion, evaluations.counts, plan.data.classes)
    evaluations.shown.write()
    mark("train")
    return AttemptResult(
        evaluation=evaluations.scores,
        iterations=plan.spec.schedule.iterations,
        train_seconds=seconds - evaluations.seconds,
        eval_seconds=evaluations.seconds,
        parameters=final.parameters,
        checkpoint=checkpoint,
        training_images=plan.data.train_images,
        eval_images=next(iter(evaluations.counts.values())).images,
        versions=plan.versions,
    )


def ray_worker(config: dict[str, Any]) -> WorkerResult | None:
    """The function TorchTrainer runs on every rank; rank 0 returns the outcome."""
    import ray.train

    marks: Marks = [("worker", time.time())]
    plan = Plan.model_validate_json(config["plan"])
    context = ray.train.get_context()
    if context.get_world_rank():
        train(plan, _Reporting(NullSink()))
        return None
    return _rank_zero(plan, _Reporting, marks)


def train_alone(plan: Plan) -> WorkerResult:
    """Trains a plan for one worker in this process, without Ray Train; the same result bit for bit."""
    assert plan.spec.resources.workers == 1
    return _rank_zero(plan, lambda sink: sink, [])


def _rank_zero(plan: Plan, around: Callable[[Sink], Sink], marks: Marks) -> WorkerResult:
    from trainer.tracking.live import LiveCurves

    plan.attempt_dir.host.write(f"{socket.gethostname()}\n")
    curves = LiveCurves(plan)
    sink = _rank_zero_sink(plan, curves.send)
    try:
        result = train(plan, around(sink), lambda name: marks.append((name, time.time())))
    finally:
        sink.close()
        lost = curves.flush()
    return WorkerResult(result=result.model_dump(mode="json"), marks=marks, tracking_lost=lost)


def _rank_zero_sink(plan: Plan, forward: Callable[[Record], None]) -> FileSink:
    """metrics.jsonl, whose records are handed on to MLflow."""
    orders = Orders(
        superseded_by=plan.layout.attempt(plan.experiment, plan.attempt + 1),
        stop=plan.layout.stop(plan.experiment),
        permit=plan.attempt_dir.permit if plan.judged else None,
        last=plan.spec.schedule.iterations,
    )
    return FileSink(plan.attempt_dir.metrics, orders=orders, forward=forward)


class _Reporting:
    """Tells Ray Train of every evaluation (a barrier for all ranks), and passes records on."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def emit(self, record: Any) -> None:
        self._sink.emit(record)
        if record["kind"] == "eval":
            import ray.train

            ray.train.report(dict(record))
