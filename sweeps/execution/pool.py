"""Where trials run: warm actors for one worker, Ray Train for several, within what the cluster has.

Nothing holds a part of what it needs while it waits for the rest: a trial's resources are taken as a whole or
not at all, in the order of asking, and actors that idle give way. So something always makes progress.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import ray

from sweeps.execution.actor import WarmWorker
from sweeps.execution.process import MARK
from sweeps.execution.task import Task, TaskEnd, end_of
from trainer.run.cluster import alive_nodes, loss_of, places
from trainer.spec.spec import Resources
from trainer.storage.layout import Storage

_LOOK_SECONDS = 0.5  # how often a trial that waits looks at the pause file and the cluster


class Shape(NamedTuple):
    """What one trial takes."""

    cpus: float
    gpus: float

    @classmethod
    def of(cls, resources: Resources) -> Shape:
        return cls(
            float(resources.workers * resources.cpus_per_worker),
            resources.workers * resources.gpus_per_worker,
        )


def fits(resources: Resources) -> int:
    """How many trials with these resources the cluster has room for, were it empty."""
    return places(resources.cpus_per_worker, resources.gpus_per_worker) // resources.workers


class Pool:
    """Runs tasks from any number of threads, at most `most` at once; none starts while `held()`."""

    def __init__(self, *, most: int | None, held: Callable[[], bool]) -> None:
        self._most = most
        self._held = held
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()
        self._busy: list[tuple[Shape, float]] = []  # and since when
        self._idle: list[tuple[Shape, Any]] = []
        self._last = False
        self._gpu_seconds = 0.0

    def gpu_hours(self) -> float:
        """What trials have held until now, halted and lost ones and those that run included."""
        now = time.monotonic()
        with self._changed:
            running = sum(shape.gpus * (now - since) for shape, since in self._busy)
            return (self._gpu_seconds + running) / 3600

    def no_more(self) -> None:
        """No further trial comes: actors that nobody waits for end, and what they held is free for others."""
        with self._changed:
            self._last = True
            self._end_unneeded()

    def run(self, task: Task, begins: Callable[[], bool]) -> TaskEnd | None:
        """Waits for room, then runs `task`; None where `begins` then says that it shall not run after all.

        Raises:
            ray.exceptions.RayError: other than a lost worker, e.g. one that ran out of memory.
        """
        shape = Shape.of(task.spec.resources)
        alone = task.spec.resources.workers == 1
        with self._room(shape, warm=alone) as idle:
            if not begins():
                self._put_back(shape, idle)
                return None
            return self._in_actor(task, shape, idle) if alone else run_apart(task)

    def end_idle(self) -> None:
        """Ends the actors that have nothing to do."""
        with self._changed:
            while self._idle:
                ray.kill(self._idle.pop()[1])

    @contextmanager
    def _room(self, shape: Shape, *, warm: bool) -> Iterator[Any]:
        """Holds what `shape` takes; an idle actor of that shape, None where a new one has to be made."""
        with self._changed:
            self._wait_for(shape, warm=warm)
            held = (shape, time.monotonic())
            self._busy.append(held)
            place = self._idle_like(shape) if warm else None
            idle = None if place is None else self._idle.pop(place)[1]
            self._changed.notify_all()
        try:
            yield idle
        finally:
            with self._changed:
                self._busy.remove(held)
                self._gpu_seconds += shape.gpus * (time.monotonic() - held[1])
                self._changed.notify_all()

    def _wait_for(self, shape: Shape, *, warm: bool) -> None:
        me = object()
        self._waiting.append(me)
        try:
            while self._waiting[0] is not me or not self._has_room(shape, warm=warm):
                self._changed.wait(_LOOK_SECONDS)
        finally:
            self._waiting.remove(me)

    def _idle_like(self, shape: Shape) -> int | None:
        return next((place for place, (kept, _) in enumerate(self._idle) if kept == shape), None)

    def _has_room(self, shape: Shape, *, warm: bool) -> bool:
        if self._held():
            self.end_idle()
            return False
        if self._most is not None and len(self._busy) >= self._most:
            return False
        if warm and self._idle_like(shape) is not None:
            return True
        if not _has_room(ray.cluster_resources(), shape, [taken for taken, _ in self._busy]):
            return False
        self.end_idle()  # of other shapes: spread over the nodes, they could block one that fits in sum
        return True

    def _in_actor(self, task: Task, shape: Shape, idle: Any) -> TaskEnd:
        actor, nodes = idle or _new_actor(shape), alive_nodes()
        kept = False
        try:
            end = TaskEnd.model_validate_json(ray.get(actor.run.remote(task.model_dump_json())))
            kept = end.end != "failed"
        except ray.exceptions.OutOfMemoryError:
            raise
        except ray.exceptions.RayActorError as error:
            if idle is not None and not _has_begun(task):  # it had died while it idled
                return self._in_actor(task, shape, None)
            return end_of(loss_of(error, str(error).strip().splitlines()[0], nodes))
        finally:
            if kept:
                self._put_back(shape, actor)
            else:
                ray.kill(actor)
        return end

    def _put_back(self, shape: Shape, actor: Any) -> None:
        """Keeps an actor for the next trial. Until its room is given up too, it counts twice, never not."""
        if actor is not None:
            with self._changed:
                self._idle.append((shape, actor))
                self._end_unneeded()

    def _end_unneeded(self) -> None:
        while self._last and len(self._idle) > len(self._waiting):
            ray.kill(self._idle.pop(0)[1])


def _has_begun(task: Task) -> bool:
    return Storage.at(task.storage).attempt(task.experiment, task.attempt).log.exists()


def _new_actor(shape: Shape) -> Any:
    return ray.remote(WarmWorker).options(num_cpus=shape.cpus, num_gpus=shape.gpus).remote()


def _has_room(total: dict[str, float], shape: Shape, taken: list[Shape]) -> bool:
    cpus = shape.cpus + sum(one.cpus for one in taken)
    gpus = shape.gpus + sum(one.gpus for one in taken)
    return cpus <= total.get("CPU", 0) and gpus <= total.get("GPU", 0)


def run_apart(task: Task) -> TaskEnd:
    """Runs a task in `sweeps.execution.process`; what that process prints is in the attempt's log.txt."""
    environment = {
        **os.environ,
        "RAY_ADDRESS": ray.get_runtime_context().gcs_address,
        "PYTHONIOENCODING": "utf-8:backslashreplace",
    }
    with subprocess.Popen(
        [sys.executable, "-m", "sweeps.execution.process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env=environment,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(task.model_dump_json() + "\n")
        process.stdin.flush()
        last, end = "", None
        for line in process.stdout:  # Ray may copy a worker's output after our own last line
            last = line.strip() or last
            if line.startswith(MARK):
                end = TaskEnd.model_validate_json(line.removeprefix(MARK))
        code = process.wait()
    return end or TaskEnd(end="lost", message=f"the trial's process ended with {code}: {last[:500]}")
