"""The reconciler's thread: woken, outliving trouble, and telling when it is not well."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest

from service.reconcile.thread import ReconcilerLoop, rest_seconds
from service.shared.settings import Settings
from service.shared.states import State
from service.store.experiments import Store
from service.store.records import StoreUnavailable
from tests.unit.service.conftest import World, until


@contextmanager
def looping(world: World, reconciler: Any) -> Iterator[ReconcilerLoop]:
    made = ReconcilerLoop(reconciler, world.store, poll_seconds=3600)
    yield made
    made.stop()


@pytest.fixture
def loop(world: World) -> Iterator[ReconcilerLoop]:
    with looping(world, world.reconciler) as made:
        yield made


def test_not_started_is_trouble(loop: ReconcilerLoop) -> None:
    """/readyz must not be green before the thread runs."""
    assert loop.trouble() is not None


def test_wake_is_answered_long_before_the_interval(world: World, loop: ReconcilerLoop) -> None:
    """What was stored is acted on at once; stop ends the thread."""
    loop.start()
    until(lambda: loop.trouble() is None)
    world.add()
    loop.wake()
    until(lambda: world.state() is State.SUBMITTED)
    loop.stop()
    assert loop.trouble() == "the reconciler is not running"


def test_passes_leave_time_for_requests() -> None:
    """Short ones take at most a fifth of the time; after a long one what was asked for waits a second."""
    assert rest_seconds(0.01) == pytest.approx(0.04)
    assert rest_seconds(5.0) == 1.0


class Failing:
    """A reconciler whose passes fail as long as it has an error."""

    def __init__(self, error: Exception) -> None:
        self.error: Exception | None = error
        self.passes: list[datetime] = []

    def run_once(self, now: datetime, leads: object) -> None:
        self.passes.append(now)
        if self.error is not None:
            raise self.error


def test_a_database_that_comes_back_is_no_end(world: World) -> None:
    """A pass is given up, said so, and the next one is whole."""
    failing = Failing(StoreUnavailable("disk is full"))
    with looping(world, failing) as loop:
        loop.start()
        until(lambda: len(failing.passes) == 1 and loop.trouble() is not None)
        assert "disk is full" in (loop.trouble() or "")
        failing.error = None
        loop.wake()
        until(lambda: loop.trouble() is None)


def test_a_mistake_of_ours_is_seen(world: World) -> None:
    """An error nobody expected ends the thread, and /readyz says which."""
    with looping(world, Failing(ZeroDivisionError("oops"))) as loop:
        loop.start()
        until(lambda: "died" in (loop.trouble() or ""))
        assert "ZeroDivisionError: oops" in (loop.trouble() or "")


def test_the_second_service_waits_for_the_first(
    world: World, loop: ReconcilerLoop, settings: Settings
) -> None:
    """Only the leader reconciles; the other takes over when it is gone."""
    other_store = Store(settings.database)
    with other_store.leadership() as leads:
        assert leads()
        loop.start()
        world.add()
        loop.wake()
        until(lambda: loop.trouble() is None)
        assert world.state() is State.QUEUED
    loop.wake()
    until(lambda: world.state() is State.SUBMITTED)
    other_store.close()
