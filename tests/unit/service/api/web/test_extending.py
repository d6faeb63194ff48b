"""Where the page offers to train an experiment longer, and what it says of one that was stopped early."""

from __future__ import annotations

import pytest

from service.shared.settings import Settings
from service.shared.states import State
from service.store.records import Outcome
from tests.unit.service.api.test_http_extend import ended
from tests.unit.service.conftest import TestClient

OFFER = 'href="/ui/experiments/old/extend"'


@pytest.mark.parametrize(
    ("state", "stopped", "offered"),
    [
        (State.COMPLETED, False, True),
        (State.CANCELLED, True, True),
        (State.CANCELLED, False, False),
        (State.FAILED, False, False),
    ],
)
def test_it_is_offered_where_the_route_takes_it(
    client: TestClient, migrated: Settings, state: State, stopped: bool, offered: bool
) -> None:
    """A trial that its sweep's scheduler stopped has a checkpoint to go on from, too."""
    ended(migrated, state, outcome=Outcome(stopped=stopped))
    for place in ("", "/live"):
        answer = client.get(f"/ui/experiments/old{place}", headers={"HX-Request": "true"} if place else {})
        assert (OFFER in answer.text) is offered
    taken = client.post("/experiments/old/extend", json={"iterations": 5}).status_code
    assert (taken == 201) is offered


@pytest.mark.parametrize("stopped", [True, False])
def test_of_one_that_was_stopped_the_form_says_from_where(
    client: TestClient, migrated: Settings, stopped: bool
) -> None:
    """And how it comes to the end that it was meant to have, for its sweep's table."""
    ended(migrated, State.CANCELLED if stopped else State.COMPLETED, outcome=Outcome(stopped=stopped))
    form = client.get("/ui/experiments/old/extend").text
    assert ('href="/ui/experiments/old/retry"' in form) is stopped
