"""Curves from a thread of its own: what a server does never reaches training."""

from __future__ import annotations

import threading
from typing import Any

from trainer.storage.tracking import Trouble
from trainer.tracking.background import BackgroundTracker
from trainer.tracking.tracker import Point
from trainer.tracking.trouble import TrackerError


class Source:
    """A server that takes points, or raises `error`; what came to it, in order."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.taken: list[Any] = []
        self.told: list[str] = []
        self.opened = 0
        self.arrived = threading.Semaphore(0)

    def open(self) -> Any:
        self.opened += 1
        self._check()
        return self

    def log_points(self, points: Any) -> None:
        self._check()
        self.taken += [point.step for point in points]
        self.arrived.release()

    def replay(self, tracker: Any) -> None:
        assert tracker is self
        self.taken.append("all")

    def trouble(self, error: TrackerError) -> None:
        self.told.append(error.kind)
        self.arrived.release()

    def caught_up(self) -> None:
        self.told.append("caught up")
        self.arrived.release()

    def wait(self) -> None:
        assert self.arrived.acquire(timeout=10)

    def _check(self) -> None:
        if self.error is not None:
            raise self.error


def point(step: int) -> Point:
    return Point(step, float(step), {"loss": 1.0})


def test_it_delivers_in_order() -> None:
    """All points arrive, in order, before flush returns; nothing is opened before the first."""
    source = Source()
    background = BackgroundTracker(source)
    background.flush()
    assert source.opened == 0
    background = BackgroundTracker(source)
    for step in range(50):
        background.log(point(step))
    background.flush()
    assert not background.lost
    assert source.taken == list(range(50))
    assert source.told == []
    assert source.opened == 1


def test_what_gathers_while_the_server_is_busy_is_sent_at_once() -> None:
    """So it falls behind by one request, however slow it is."""
    busy, sizes = threading.Event(), list[int]()

    class Busy(Source):
        def log_points(self, points: Any) -> None:
            super().log_points(points)
            sizes.append(len(points))
            assert busy.wait(10)

    source = Busy()
    background = BackgroundTracker(source)
    background.log(point(0))
    source.wait()
    for step in range(1, 50):
        background.log(point(step))
    busy.set()
    background.flush()
    assert sizes == [1, 49]
    assert source.taken == list(range(50))


def test_a_dead_server_is_told_of_once() -> None:
    """Nothing is raised into training; what follows is not even tried until the pause is over."""
    source = Source(TrackerError("connection refused", Trouble.UNREACHABLE))
    background = BackgroundTracker(source, clock=lambda: 0.0)
    for step in range(5):
        background.log(point(step))
    background.flush()
    assert background.lost
    assert source.told == ["unreachable"]
    assert source.opened == 1


def test_a_server_that_comes_back_gets_everything() -> None:
    """After the pause the run is opened again and all is sent; the curves are whole again."""
    now = [0.0]
    source = Source(TrackerError("current state is deleted", Trouble.DELETED))
    background = BackgroundTracker(source, clock=lambda: now[0])
    background.log(point(1))
    source.wait()
    source.error, now[0] = None, 61.0
    background.log(point(2))
    source.wait()
    background.log(point(3))
    background.flush()
    assert not background.lost
    assert source.told == ["deleted", "caught up"]
    assert source.taken == ["all", 3]


def test_a_mistake_of_the_client_is_trouble_too() -> None:
    """An error that nobody expected ends neither the thread nor the training unseen."""
    source = Source(KeyError("run"))
    background = BackgroundTracker(source)
    background.log(point(1))
    background.flush()
    assert background.lost
    assert source.told == ["broken"]


def test_a_server_that_hangs_is_not_waited_for() -> None:
    """At the end some time is given, and no more; then the curves count as missing."""
    hanging = threading.Event()

    class Hanging(Source):
        def log_points(self, points: Any) -> None:
            hanging.wait(10)

    background = BackgroundTracker(Hanging(), close_seconds=0.05)
    background.log(point(1))
    background.flush()
    assert background.lost
    hanging.set()


def test_who_was_given_up_tells_nothing_more() -> None:
    """A thread that comes back after the end has not brought what was measured since: nobody is told so."""
    now, replaying, hanging = [0.0], threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    class Slow(Source):
        def replay(self, tracker: Any) -> None:
            threads.append(threading.current_thread())
            replaying.set()
            hanging.wait(10)

    source = Slow(TrackerError("connection refused", Trouble.UNREACHABLE))
    background = BackgroundTracker(source, clock=lambda: now[0], close_seconds=0.05)
    background.log(point(1))
    source.wait()
    source.error, now[0] = None, 61.0
    background.log(point(2))
    background.log(point(3))
    assert replaying.wait(10)
    background.flush()
    hanging.set()
    threads[0].join(10)
    assert background.lost
    assert source.told == ["unreachable"]
    assert source.taken == []
