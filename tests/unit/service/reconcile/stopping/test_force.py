"""A job that was told to end gets a while for it; then its experiment ends without it."""

from __future__ import annotations

import pytest

from service.reconcile.cluster import JobStatus
from service.reconcile.retry_on_request import retry
from service.shared.states import State
from tests.unit.service.conftest import World
from trainer.base.errors import Cancelled
from trainer.storage.orders import Orders


def stubborn(world: World) -> None:
    """A job that goes on whatever it is told."""
    world.backend.stubborn = True
    world.add()
    world.step()
    world.backend.run("e1-1")
    world.step()
    world.store.request_cancel("e1", now=world.now)


def test_a_job_that_does_not_end_is_left_behind(world: World) -> None:
    """Told each pass, for 120 s; then cancelled with the reason, and what still runs stops by itself."""
    stubborn(world)
    world.step()
    world.step(119)
    assert (world.state(), world.backend.jobs["e1-1"].stops) == (State.RUNNING, 2)
    here = world.settings.layout
    orders = Orders(superseded_by=here.attempt("e1", 2))
    orders.obey({"kind": "train", "iteration": 1})
    world.step(2)
    assert world.state() is State.CANCELLED
    assert world.reasons()[-1] == (
        "cancelled on request, by force: its job was told to end 121 s ago and is running"
    )
    with pytest.raises(Cancelled, match="newer attempt"):
        orders.obey({"kind": "train", "iteration": 2})
    assert retry(world.store, here, world.store.get("e1"), world.now).attempt == 3


def test_who_ends_in_time_is_not_forced(world: World) -> None:
    """The state follows what was seen."""
    stubborn(world)
    world.step()
    world.step(100)
    world.backend.finish("e1-1", JobStatus.STOPPED)
    world.step()
    world.step(10)
    assert world.state() is State.CANCELLED
    assert "force" not in world.reasons()[-1]
    assert not world.settings.layout.attempt("e1", 2).exists()


def test_a_cluster_that_is_away_is_waited_for(world: World) -> None:
    """Nothing is known of the job meanwhile, and the while begins when it could be told."""
    stubborn(world)
    world.backend.down = True
    world.step(10_000)
    assert world.state() is State.RUNNING
    world.backend.down = False
    world.step()
    world.step(100)
    assert world.state() is State.RUNNING
    world.step(30)
    assert world.state() is State.CANCELLED


def test_a_service_that_starts_gives_the_while_anew(world: World) -> None:
    """It has told nobody yet."""
    stubborn(world)
    world.step()
    world.__post_init__()
    world.step(500)
    assert world.state() is State.RUNNING
    world.step(120)
    assert world.state() is State.CANCELLED


def test_who_makes_room_for_another_is_waited_for(world: World) -> None:
    """Nobody wants its end, and two must not write the same checkpoints."""
    world.backend.stubborn = True
    row = world.add()
    world.step()
    world.backend.run("e1-1")
    world.step()
    world.store.request_stop(row, "preempt_requested_at", "for another", now=world.now)
    world.step()
    world.step(10_000)
    assert world.state() is State.RUNNING


def test_what_has_gone_is_not_remembered(world: World) -> None:
    """Also where another service moved its row, or it was deleted: only jobs that are followed are known."""
    stubborn(world)
    world.step()
    told = world.reconciler._followers[0]._telling
    assert told.since("e1-1") == world.now
    world.store.transition(world.store.get("e1"), to=State.CANCELLED, reason="seen by another", now=world.now)
    world.step()
    assert told.since("e1-1") is None
