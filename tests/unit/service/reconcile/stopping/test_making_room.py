"""Who makes room for another is asked to rest, and made to end only where it does not."""

from __future__ import annotations

from service.reconcile.stopping.pausing import pause, resume
from service.shared.states import State
from tests.unit.service.conftest import World
from tests.unit.service.reconcile.stopping.test_pausing import begin, rest


def make_room(world: World) -> None:
    """The queue wants the place of `e1`, which trains."""
    world.add()
    begin(world)
    row = world.store.get("e1")
    world.store.request_stop(row, "preempt_requested_at", "for another", now=world.now)
    world.step()


def stops(world: World) -> int:
    """How often the job was told to end."""
    return world.backend.jobs["e1-1"].stops


def test_it_rests_where_its_checkpoint_is(world: World) -> None:
    """Its job reads of it in the file of a pause and is never stopped; it waits again, uncounted, and the
    file is gone before its next job begins.
    """
    make_room(world)
    file = world.settings.layout.pause("e1")
    assert file.exists()
    assert stops(world) == 0
    rest(world)
    row = world.store.get("e1")
    assert (row.attempt, row.failures, row.preemptions, row.preempt_requested_at) == (2, 0, 1, None)
    assert any("higher priority" in reason for reason in world.reasons())
    world.step()
    assert world.state() is State.SUBMITTED
    assert not file.exists()


def test_one_that_does_not_rest_is_stopped_after_the_grace(world: World) -> None:
    """For 120 s it is asked and left alone; then it is told to end each pass, by whichever service leads."""
    world.backend.stubborn = True
    make_room(world)
    world.step(118)
    assert stops(world) == 0
    world.__post_init__()
    world.step(2)
    world.step()
    assert stops(world) == 2
    assert world.state() is State.RUNNING


def test_one_without_a_record_is_stopped_at_once(world: World) -> None:
    """It has nothing to keep."""
    row = world.add()
    world.step()
    world.backend.run("e1-1")
    world.step()
    world.store.request_stop(row, "preempt_requested_at", "for another", now=world.now)
    world.step()
    assert stops(world) == 1


def test_a_cancel_meanwhile_ends_it_at_once(world: World) -> None:
    """Who wants its end waits for no checkpoint."""
    make_room(world)
    world.store.request_cancel("e1", now=world.now)
    world.step()
    assert stops(world) == 1
    world.step()
    world.step(10)
    assert world.state() is State.CANCELLED


def test_a_pause_meanwhile_lets_it_rest(world: World) -> None:
    """It makes room, and then rests until somebody resumes it."""
    make_room(world)
    pause(world.store, world.settings.layout, "e1", world.now)
    rest(world)
    world.step()
    assert world.state() is State.PAUSED
    assert world.store.get("e1").preemptions == 1


def test_a_pause_that_is_taken_back_leaves_it_asked(world: World) -> None:
    """The next pass asks again, for the queue still wants its place."""
    make_room(world)
    pause(world.store, world.settings.layout, "e1", world.now)
    resume(world.store, world.settings.layout, "e1", world.now)
    world.step()
    assert world.settings.layout.pause("e1").exists()
    assert stops(world) == 0
