"""Follow-ups in the store: what goes in comes out, pages, other attempts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from service.shared.followup_ids import is_followup_id
from service.shared.states import State
from service.store.new_rows import new_followup
from service.store.records import Conflict, Followup, Outcome, UnknownExperiment, UnknownFollowup
from tests.unit.service.conftest import START, World
from tests.unit.service.followup_job import REQUESTS, request

LATER = START + timedelta(seconds=1)


def add(world: World, kind: str = "evaluation", *, experiment: str = "e1", **changes: Any) -> Followup:
    """A stored follow-up."""
    new = new_followup(experiment, request(kind), now=START, key=None, request_hash="h")
    return world.store.followups.create(replace(new, **changes))


@pytest.mark.parametrize("kind", list(REQUESTS))
def test_what_was_stored_comes_back(world: World, kind: str) -> None:
    """The row, with its first event; its id tells what it is."""
    world.add()
    row = add(world, kind)
    assert world.store.followups.get(row.id) == row
    assert (row.kind, row.experiment_id, row.state) == (kind, "e1", State.QUEUED)
    assert is_followup_id(row.id)
    assert not is_followup_id("e1")
    (first,), _ = world.store.followups.history(row.id, after=0, limit=10)
    assert (first.from_state, first.to_state, first.reason) == (None, State.QUEUED, "stored")


def test_of_no_experiment_none_is_stored(world: World) -> None:
    """A follow-up is of an experiment that there is, also where that went just now."""
    with pytest.raises(UnknownExperiment):
        add(world, experiment="nobody")


def test_an_unknown_id(world: World) -> None:
    """Also that of an experiment: the two are not told apart by luck."""
    world.add()
    for identifier in ("e1", "eval-0123456789"):
        with pytest.raises(UnknownFollowup):
            world.store.followups.get(identifier)


def test_a_key_stores_once(world: World) -> None:
    """The second under a key is not stored; an experiment's keys are others."""
    world.add(idempotency_key="k", request_hash="h")
    first = add(world, idempotency_key="k")
    assert add(world, idempotency_key="k") == first
    assert world.store.followups.find_request("k") == first


def test_pages_are_of_one_experiment_and_kind(world: World) -> None:
    """Newest first, each once, narrowed by state."""
    world.add("e1")
    world.add("e2")
    mine = [add(world, created_at=START + timedelta(seconds=n)).id for n in range(5)]
    add(world, "prediction")
    add(world, experiment="e2")
    listed: list[str] = []
    cursor = None
    while True:
        rows, cursor = world.store.followups.page("e1", "evaluation", [], cursor=cursor, limit=2)
        listed += [row.id for row in rows]
        if cursor is None:
            break
    assert listed == mine[::-1]
    page = world.store.followups.page
    assert page("e1", "evaluation", [State.RUNNING], cursor=None, limit=9)[0] == []
    assert [row.kind for row in page("e1", "prediction", [State.QUEUED], cursor=None, limit=9)[0]] == [
        "prediction"
    ]


def test_scores_of_modes_are_kept(world: World) -> None:
    """By mode; what is no number becomes null, also in there."""
    world.add()
    row = add(world, state=State.RUNNING)
    scores = {"single_scale": {"mIoU": 12.5, "mAcc": float("nan"), "aAcc": None}}
    outcome = Outcome(headline=scores)
    row = world.store.followups.transition(
        row, to=State.COMPLETED, reason="report", now=LATER, outcome=outcome
    )
    assert row.headline == {"single_scale": {"mIoU": 12.5, "mAcc": None, "aAcc": None}}


def test_another_attempt_begins_anew(world: World) -> None:
    """What the last one left in the row is gone, its number is not used again."""
    world.add()
    row = add(world, state=State.RUNNING)
    failed = Outcome(error_type="DataError", error_message="bad", failures=1)
    row = world.store.followups.transition(row, to=State.FAILED, reason="r", now=LATER, outcome=failed)
    again = world.store.followups.retry(row, attempt=2, reason="retried on request", now=LATER)
    assert (again.state, again.attempt, again.failures) == (State.QUEUED, 2, 0)
    assert (again.error_type, again.ended_at, again.headline) == (None, None, None)
    with pytest.raises(Conflict, match="follow-up"):
        world.store.followups.retry(row, attempt=3, reason="late", now=LATER)


def test_live_ones_that_read_an_experiment(world: World) -> None:
    """Its own, and those that set another beside it; not those that have ended."""
    world.add("e1")
    world.add("e2")
    own = add(world)
    add(world, state=State.FAILED)
    beside = new_followup(
        "e2", request(disagreement={"against": "e1"}), now=LATER, key=None, request_hash="h"
    )
    world.store.followups.create(beside)
    assert [row.id for row in world.store.followups.reading("e1")] == [own.id, beside.id]
    assert [row.id for row in world.store.followups.reading("e2")] == [beside.id]
