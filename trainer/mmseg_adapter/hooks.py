"""What our runs add to mmengine's Runner: a guard, progress and checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.dist import broadcast, get_rank
from mmengine.hooks import Hook

from trainer.base.errors import Paused
from trainer.mmseg_adapter.checkpoint import TrainingCheckpoints
from trainer.mmseg_adapter.data import TimedBatches, seed_iteration
from trainer.mmseg_adapter.step.average import average_of, bare, scored
from trainer.results.split_counts import SplitCounts

Record = dict[str, Any]


class SeedingHook(Hook):  # type: ignore[misc]
    """Seeds every step by itself, so that neither a validation nor a restart changes what follows."""

    priority = "VERY_HIGH"

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        del batch_idx, data_batch
        seed_iteration(self._seed, runner.iter, get_rank())


class ProgressHook(Hook):  # type: ignore[misc]
    """Hands means of what each step logs to `emit` every `interval` iterations, at the first and the last.

    A loss is averaged over all steps. Any other value is averaged over the steps where it is finite, and left
    out of the record where there are none: the accuracy of tail regions has no value in a step without one.
    `data_seconds_share` is the share of the time since the last record that was waited for batches, 0 to 1.
    """

    def __init__(
        self, interval: int, emit: Callable[[Record], None], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._interval = interval
        self._emit = emit
        self._clock = clock
        self._sums: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}  # of each value, and how many those are
        self._steps = 0
        self._since = 0.0

    def before_train(self, runner: Any) -> None:
        self._batches = TimedBatches(runner.train_loop.dataloader_iterator, self._clock)
        runner.train_loop.dataloader_iterator = self._batches
        self._since = self._clock()

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Record | None = None
    ) -> None:
        del batch_idx, data_batch
        for name, value in (outputs or {}).items():
            tensor = torch.as_tensor(value).detach()
            counts = torch.ones_like(tensor, dtype=torch.bool) if "loss" in name else tensor.isfinite()
            total, steps = self._sums.get(name, (0, 0))
            self._sums[name] = total + torch.where(counts, tensor, 0), steps + counts.int()
        self._steps += 1
        iteration = runner.iter + 1
        if iteration % self._interval and iteration not in (1, runner.max_iters):
            return
        self._flush(iteration, runner.optim_wrapper.get_lr()["lr"][0])

    def _flush(self, iteration: int, learning_rate: float) -> None:
        now = self._clock()
        means = {
            name.replace("decode.", ""): float(total) / int(steps)
            for name, (total, steps) in self._sums.items()
            if steps
        }
        self._emit(
            {
                "kind": "train",
                "iteration": iteration,
                **means,
                "learning_rate": learning_rate,
                "seconds_per_iteration": (now - self._since) / self._steps,
                "data_seconds_share": self._batches.take_seconds() / (now - self._since),
            }
        )
        self._sums, self._steps, self._since = {}, 0, now


class StepHook(Hook):  # type: ignore[misc]
    """Averages the weights where that is asked for, and tells of steps that were left out."""

    priority = "ABOVE_NORMAL"

    def __init__(self, emit: Callable[[Record], None]) -> None:
        self._emit = emit

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Record | None = None
    ) -> None:
        del batch_idx, data_batch, outputs
        average = average_of(runner)
        if average is not None and runner.optim_wrapper.moved:
            average.update_parameters(bare(runner.model))
        self._tell(runner)

    def after_train(self, runner: Any) -> None:
        runner.optim_wrapper.guard.settle(wait=True)
        self._tell(runner)

    def _tell(self, runner: Any) -> None:
        for iteration, message in runner.optim_wrapper.guard.news():
            self._emit({"kind": "event", "iteration": iteration, "message": message})


class EvaluationHook(Hook):  # type: ignore[misc]
    """Makes all ranks evaluate the same model, and hands the counts of each evaluation to `emit`.

    `see` gets each picture of this rank: iteration, its file's path, its (1, H, W) int64 labels and truth.
    """

    def __init__(
        self,
        emit: Callable[[int, SplitCounts, float], None],
        see: Callable[[int, str, torch.Tensor, torch.Tensor], None],
    ) -> None:
        self._emit = emit
        self._see = see
        self._started = 0.0

    def before_val_epoch(self, runner: Any) -> None:
        runner.optim_wrapper.guard.settle(wait=True)
        self._started = time.perf_counter()
        # Without SyncBN each worker has running statistics of its own; the deployed model has rank 0's.
        for buffer in scored(runner).buffers():
            broadcast(buffer, src=0)

    def after_val_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Sequence[Any] | None = None
    ) -> None:
        del batch_idx, data_batch
        for sample in outputs or ():
            self._see(runner.iter, sample.img_path, sample.pred_sem_seg.data, sample.gt_sem_seg.data)

    def after_val_epoch(self, runner: Any, metrics: Record | None = None) -> None:
        assert metrics is not None
        seconds = time.perf_counter() - self._started
        self._emit(runner.iter, metrics["counts"], seconds)


class CheckpointHook(Hook):  # type: ignore[misc]
    """Resumes from the newest whole checkpoint, and writes one every `interval` iterations.

    One that was written just before an evaluation is scored first, unless `evaluated` says of its iteration
    that this was done: a run killed in between has the evaluations of one left alone.
    """

    priority = "VERY_LOW"

    def __init__(
        self,
        checkpoints: TrainingCheckpoints,
        interval: int,
        emit: Callable[[Record], None],
        evaluated: Callable[[int], bool],
        paused: Callable[[int], bool] = lambda _: False,
    ) -> None:
        """`paused`: whether somebody wants no step after that of this iteration for now; rank 0 asks."""
        self._checkpoints = checkpoints
        self._interval = interval
        self._emit = emit
        self._evaluated = evaluated
        self._paused = paused

    def before_train(self, runner: Any) -> None:
        if get_rank() == 0:
            self._checkpoints.clear()
        found = self._checkpoints.restore(runner)
        if found is not None:
            self._emit({"kind": "event", "iteration": found.iteration, "message": found.told})
            if self._is_missing(runner, found.iteration):
                runner.val_loop.run()

    def _is_missing(self, runner: Any, iteration: int) -> bool:
        """Whether the evaluation that comes after `iteration` was not done; the same on all ranks."""
        if iteration % runner.train_loop.val_interval or iteration >= runner.max_iters:
            return False
        missing = torch.tensor(not self._evaluated(iteration), dtype=torch.int32)
        broadcast(missing, src=0)
        return bool(missing)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Record | None = None
    ) -> None:
        """Raises Paused on rank 0, once its checkpoint is there; Ray ends the other ranks then."""
        del batch_idx, data_batch, outputs
        iteration = runner.iter + 1
        pause = get_rank() == 0 and iteration < runner.max_iters and self._paused(iteration)
        if iteration % self._interval and iteration != runner.max_iters and not pause:
            return
        runner.optim_wrapper.guard.settle(wait=True)
        if get_rank() == 0:
            self._checkpoints.save(runner, iteration)
        if pause:
            self._emit(
                {"kind": "event", "iteration": iteration, "message": f"paused at iteration {iteration}"}
            )
            raise Paused(f"paused at iteration {iteration}, where its checkpoint is")
