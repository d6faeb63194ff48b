"""Another attempt on request: whom it is refused, and why."""

from __future__ import annotations

import pytest

from service.reconcile.retry_on_request import retry
from service.shared.states import State
from service.store.records import Conflict
from tests.unit.service.conftest import START, World
from tests.unit.service.reconcile.test_sweep_reconcile import store_sweep


def refusal(world: World, identifier: str) -> str:
    with pytest.raises(Conflict) as caught:
        retry(world.store, world.settings.layout, world.store.get(identifier), START)
    return str(caught.value)


def test_a_cancel_that_has_not_come_yet(world: World) -> None:
    """The refusal says that cancel was asked: of the experiment, of the trial, or of its sweep."""
    lone, one, other = world.add().id, store_sweep(world), store_sweep(world)
    for identifier in (lone, one.id(0), other.id(0)):
        assert refusal(world, identifier).startswith(f"experiment {identifier} is queued; ")
    world.store.request_cancel(lone, now=START)
    world.store.request_cancel(one.id(0), now=START)
    world.store.sweeps.request_cancel(other.sweep, now=START)
    for identifier in (lone, one.id(0), other.id(0)):
        told = f"experiment {identifier} is queued, with a cancel still pending; "
        assert refusal(world, identifier).startswith(told)
    assert refusal(world, one.id(1)).startswith(f"experiment {one.id(1)} is queued; ")


def test_one_that_completed(world: World) -> None:
    """Nothing is said of a cancel that came too late."""
    world.add(state=State.COMPLETED, cancel_requested_at=START)
    assert "cancel still pending" not in refusal(world, "e1")
