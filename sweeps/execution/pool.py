"""Where trials run: warm actors for one worker, Ray Train for several, within what the cluster has.

Nothing holds a part of what it needs while it waits for the rest: a trial's resources are taken as a whole or
not at all, in the order of asking, and actors that idle give way. So something always makes progress.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import ray

from sweeps.execution.actor import WarmWorker
from sweeps.execution.apart import run_apart
from sweeps.execution.cluster import Cluster
from sweeps.execution.task import TaskEnd, end_of
from trainer.base.ends import End
from trainer.base.errors import WorkerLost
from trainer.run.actor import answer_of, start_actor
from trainer.run.cluster import alive_nodes
from trainer.spec.resources import Resources
from trainer.task import Task

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


class Pool:
    """Places for trials, for any number of threads, at most `most` at once; none is given while `paused()`.

    `cluster` and `clock` (seconds) are arguments for the sake of tests.
    """

    def __init__(
        self,
        *,
        most: int | None,
        paused: Callable[[], bool],
        cluster: Cluster,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._paused = paused
        self._cluster = cluster
        self._clock = clock
        self._possible: set[Resources] = set()
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()
        self._busy: list[tuple[Shape, float]] = []  # and since when
        self._idle: list[tuple[Shape, Any]] = []
        self._last = False
        self._gpu_seconds = 0.0

    def fits(self, resources: Resources) -> int:
        """How many trials with these resources the cluster has room for, were it empty."""
        places = self._cluster.places(resources.cpus_per_worker, resources.gpus_per_worker)
        return places // resources.workers

    def require(self, resources: Resources) -> None:
        """Refuses what the cluster never had. What it had once is waited for: a lost node is replaced.

        Raises:
            ResourcesUnavailable: naming what is asked for and what there is.
        """
        if resources not in self._possible:
            self._cluster.require(resources)
            self._possible.add(resources)

    def gpu_hours(self) -> float:
        """What trials have held until now, lost ones and those that run included."""
        now = self._clock()
        with self._changed:
            running = sum(shape.gpus * (now - since) for shape, since in self._busy)
            return (self._gpu_seconds + running) / 3600

    def no_more(self) -> None:
        """No further trial comes: actors that nobody waits for end, and what they held is free for others."""
        with self._changed:
            self._last = True
            self._end_unneeded()

    @contextmanager
    def place(self, resources: Resources) -> Iterator[Callable[[Task], TaskEnd]]:
        """Waits for room and holds it; yields what runs a task there, for who still has one to run.

        Raises:
            ray.exceptions.RayError: when run: other than a lost worker, e.g. one that ran out of memory.
        """
        shape, alone = Shape.of(resources), resources.workers == 1
        with self._room(shape, warm=alone) as idle:
            unused = [idle]

            def run(task: Task) -> TaskEnd:
                return self._in_actor(task, shape, unused.pop()) if alone else run_apart(task)

            try:
                yield run
            finally:
                if unused:
                    self._put_back(shape, unused.pop())

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
            held = (shape, self._clock())
            self._busy.append(held)
            place = self._idle_like(shape) if warm else None
            idle = None if place is None else self._idle.pop(place)[1]
            self._changed.notify_all()
        try:
            yield idle
        finally:
            with self._changed:
                self._busy.remove(held)
                self._gpu_seconds += shape.gpus * (self._clock() - held[1])
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
        if self._paused():
            self.end_idle()
            return False
        if self._most is not None and len(self._busy) >= self._most:
            return False
        if warm and self._idle_like(shape) is not None:
            return True
        if not _has_room(self._cluster.resources(), shape, [taken for taken, _ in self._busy]):
            return False
        self.end_idle()  # of other shapes: spread over the nodes, they could block one that fits in sum
        return True

    def _in_actor(self, task: Task, shape: Shape, idle: Any) -> TaskEnd:
        actor = idle or start_actor(WarmWorker, cpus=shape.cpus, gpus=shape.gpus)
        nodes = alive_nodes()
        kept = False
        try:
            end = TaskEnd.model_validate_json(answer_of(actor.run.remote(task.model_dump_json()), nodes))
            kept = end.end is not End.FAILED
        except WorkerLost as loss:
            if idle is not None and not _has_begun(task):  # it had died while it idled
                return self._in_actor(task, shape, None)
            return end_of(loss)
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
    return task.attempt_dir.log.exists()


def _has_room(total: Mapping[str, float], shape: Shape, taken: list[Shape]) -> bool:
    cpus = shape.cpus + sum(one.cpus for one in taken)
    gpus = shape.gpus + sum(one.gpus for one in taken)
    return cpus <= total.get("CPU", 0) and gpus <= total.get("GPU", 0)
