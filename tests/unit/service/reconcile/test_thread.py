"""The reconciler's thread: woken, outliving trouble, and telling when it is not well."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest

from service.reconcile.thread import ReconcilerLoop
from service.shared.settings import Settings
from service.shared.states import State
from service.store.experiments import Store
from service.store.records import StoreUnavailable
from tests.unit.service.conftest import World, until


@pytest.fixture
def loop(world: World) -> Iterator[ReconcilerLoop]:
    made = ReconcilerLoop(world.reconciler, world.store, world.backend, poll_seconds=3600)
    yield made
    made.stop()


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


def test_a_database_that_comes_back_is_no_end(
    world: World, loop: ReconcilerLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass is given up, said so, and the next one is whole."""
    failing = True
    passes: list[datetime] = []

    def run_once(now: datetime, leads: object) -> None:
        passes.append(now)
        if failing:
            raise StoreUnavailable("disk is full")

    monkeypatch.setattr(world.reconciler, "run_once", run_once)
    loop.start()
    until(lambda: len(passes) == 1 and loop.trouble() is not None)
    assert "disk is full" in (loop.trouble() or "")
    failing = False
    loop.wake()
    until(lambda: loop.trouble() is None)


def test_a_mistake_of_ours_is_seen(
    world: World, loop: ReconcilerLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error nobody expected ends the thread, and /readyz says which."""

    def run_once(now: datetime, leads: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(world.reconciler, "run_once", run_once)
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
