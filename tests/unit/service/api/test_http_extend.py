"""POST /experiments/{id}/extend: a new experiment with the old one's checkpoint, or neither."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import pytest

from service.reconcile.reconciler import utc_now
from service.shared.settings import Settings
from service.shared.states import State
from service.store.experiments import Store
from service.store.records import NOTHING, Outcome
from tests.data_factories import make_spec
from tests.unit.service.api.test_http_create import check_problem, stored
from tests.unit.service.api.web.test_doors import SAME, proof
from tests.unit.service.checkpoint_files import leave_checkpoints
from tests.unit.service.conftest import TestClient, new_row

MORE = {"iterations": 500, "rate": "rescaled"}


def ended(
    settings: Settings,
    to: State = State.COMPLETED,
    *,
    outcome: Outcome = NOTHING,
    names: tuple[str, ...] = ("final", "iter_900", "iter_1000"),
    **changes: Any,
) -> str:
    """Id of an experiment of 1000 iterations that has ended, with these checkpoints."""
    spec = make_spec(schedule={"iterations": 1000, "power": 0.9, "warmup_iterations": 0}, **changes)
    with closing(Store(settings.database)) as store:
        row = store.create(new_row("old", spec), new_tags={})
        for state in (State.SUBMITTED, State.RUNNING, to):
            row = store.transition(row, to=state, reason="as it went", now=utc_now(), outcome=outcome)
    leave_checkpoints(settings.layout, "old", names)
    return row.id


def extend(client: TestClient, document: Any, **headers: str) -> Any:
    return client.post("/experiments/old/extend", json=document, headers=headers)


def test_further_iterations_are_a_new_experiment(client: TestClient, migrated: Settings) -> None:
    """201, Location, all iterations, what it continues; its checkpoint is its own: the old one may go."""
    ended(migrated, tags={"who": "me"})
    answer = extend(client, MORE)
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert answer.headers["location"] == f"/experiments/{body['id']}"
    assert (body["state"], body["continues"], body["spec"]["schedule"]["iterations"]) == (
        "queued",
        "old",
        1500,
    )
    old = client.get("/experiments/old").json()
    told = {key: body["spec"]["continues"][key] for key in ("experiment", "iteration", "rate")}
    assert told == {"experiment": "old", "iteration": 1000, "rate": "rescaled"}
    assert {**body["spec"], "continues": None, "schedule": None} == {
        **old["spec"],
        "continues": None,
        "schedule": None,
    }
    files = migrated.layout.checkpoints(body["id"])
    assert files.names() == ["iter_1000.pth"]
    migrated.layout.experiment("old").delete()
    assert files.file("iter_1000.pth").size() > 0
    assert client.get(f"/experiments/{body['id']}/events").json()["items"][0]["reason"] == (
        "stored; it continues old from iteration 1000, rate rescaled"
    )
    assert client.get("/experiments?tag=who:me").json()["items"][0]["id"] == body["id"]


def test_a_rate_is_held(client: TestClient, migrated: Settings) -> None:
    """`constant`: the mean over the last tenth, or the rate that is asked for."""
    ended(migrated)
    top = client.get("/experiments/old").json()["spec"]["schedule"]["learning_rate"]
    held = extend(client, {"iterations": 5, "rate": "constant"}).json()["spec"]["continues"]["held"]
    assert 0.03 < held < 0.1
    asked = {"iterations": 5, "rate": "constant", "learning_rate": top / 4}
    assert extend(client, asked).json()["spec"]["continues"]["held"] == pytest.approx(0.25)


def test_one_that_goes_on_is_extended_as_any_other(client: TestClient, migrated: Settings) -> None:
    """The chain counts all iterations; each link names the one before it."""
    ended(migrated)
    first = extend(client, {"iterations": 5, "rate": "rewarmed"}).json()["id"]
    with closing(Store(migrated.database)) as store:
        row = store.get(first)
        for state in (State.SUBMITTED, State.RUNNING, State.COMPLETED):
            row = store.transition(row, to=state, reason="as it went", now=utc_now())
    leave_checkpoints(migrated.layout, first, ("final", "iter_1005"))
    second = client.post(f"/experiments/{first}/extend", json={"iterations": 10}).json()
    assert (second["continues"], second["spec"]["continues"]["iteration"]) == (first, 1005)
    assert second["spec"]["continues"]["rate"] == "rescaled"
    assert second["spec"]["schedule"]["iterations"] == 1015
    hashes = {
        each["spec"]["continues"]["spec_hash"]
        for each in (second, client.get(f"/experiments/{first}").json())
    }
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("document", "pointer", "words"),
    [
        ({}, "/iterations", "missing"),
        ({"iterations": 0}, "/iterations", "0"),
        ({"iterations": 9_999_999}, "/iterations", "1 to 9999000"),
        ({"iterations": 1, "rate": "faster"}, "/rate", "rewarmed"),
        ({"iterations": 1, "learning_rate": 0.1}, "/learning_rate", "with /rate constant"),
        ({"iterations": 1, "rate": "constant", "learning_rate": 99}, "/learning_rate", "at most"),
        ({"iterations": 1, "steps": 2}, "/steps", "steps"),
        ([], "", "object"),
    ],
)
def test_what_cannot_be_meant(
    client: TestClient, migrated: Settings, document: Any, pointer: str, words: str
) -> None:
    """422 names the field and what is allowed; nothing is stored, no file is left."""
    ended(migrated)
    problem = check_problem(extend(client, document), 422)
    assert [each["pointer"] for each in problem["errors"]] == [pointer]
    assert words in json.dumps(problem["errors"])
    assert [each["id"] for each in stored(client)] == ["old"]
    assert migrated.layout.experiments.names() == ["old"]


@pytest.mark.parametrize(
    ("to", "words"),
    [
        (State.FAILED, "it can be retried"),
        (State.CANCELLED, "it can be retried"),
    ],
)
def test_what_did_not_complete_is_retried(
    client: TestClient, migrated: Settings, to: State, words: str
) -> None:
    """409 says what to do instead."""
    ended(migrated, to)
    assert words in check_problem(extend(client, MORE), 409)["detail"]


def test_what_goes_on_is_waited_for(client: TestClient, migrated: Settings) -> None:
    """409 of one that has not ended."""
    del migrated
    queued = client.post(
        "/experiments", json={"dataset": "digit_scenes", "model": "small", "method": "baseline"}
    )
    answer = client.post(f"/experiments/{queued.json()['id']}/extend", json=MORE)
    assert "once it has completed" in check_problem(answer, 409)["detail"]
    check_problem(client.post("/experiments/none/extend", json=MORE), 404)


def test_one_that_was_stopped_early_goes_on_from_where_it_was(client: TestClient, migrated: Settings) -> None:
    """Its newest checkpoint counts, not the iterations that it never had."""
    ended(migrated, State.CANCELLED, outcome=Outcome(stopped=True), names=("iter_300", "iter_400"))
    body = extend(client, MORE).json()
    assert (body["spec"]["continues"]["iteration"], body["spec"]["schedule"]["iterations"]) == (400, 900)
    assert body["sweep"] is None


@pytest.mark.parametrize("names", [("final",), ("final", "iter_900")])
def test_without_its_last_checkpoint(client: TestClient, migrated: Settings, names: tuple[str, ...]) -> None:
    """409 names what is there; nothing is stored."""
    ended(migrated, names=names)
    detail = check_problem(extend(client, MORE), 409)["detail"]
    assert "iter_1000, is gone" in detail
    assert detail.endswith(f"there are: {', '.join(names)}")
    assert migrated.layout.experiments.names() == ["old"]


def test_the_same_key_stores_it_once(client: TestClient, migrated: Settings) -> None:
    """Another body under the key is refused."""
    ended(migrated)
    key = {"Idempotency-Key": "k"}
    first, again = extend(client, MORE, **key), extend(client, MORE, **key)
    assert first.json()["id"] == again.json()["id"]
    check_problem(extend(client, {"iterations": 1}, **key), 409)
    assert len(migrated.layout.experiments.names()) == 2


def test_what_only_extend_writes_is_not_taken_from_anybody(client: TestClient, migrated: Settings) -> None:
    """A spec that says what it continues is refused with the way to do it, of a sweep's base as well."""
    ended(migrated)
    spec = extend(client, MORE).json()["spec"]
    for path, document, pointer in (
        ("/experiments", spec, "/continues"),
        ("/sweeps", {"base": spec, "seeds": [0]}, "/base/continues"),
    ):
        problem = check_problem(client.post(path, json=document), 422)
        assert problem["errors"][0]["pointer"] == pointer
        assert "/experiments/old/extend" in problem["errors"][0]["allowed"]


def test_the_form(client: TestClient, migrated: Settings) -> None:
    """The page of one that completed leads to it; what is wrong is said with what was typed, what is right
    leads to the new experiment.
    """
    ended(migrated)
    place = "/ui/experiments/old/extend"
    assert place in client.get("/ui/experiments/old").text
    fields = {**proof(client, place), "iterations": "many", "rate": "constant", "learning_rate": ""}
    refused = client.post(place, data=fields, headers=SAME)
    assert refused.status_code == 422
    assert "/iterations" in refused.text
    assert 'value="many"' in refused.text
    sent = client.post(place, data={**fields, "iterations": "5"}, headers=SAME, follow_redirects=False)
    assert sent.status_code == 303
    made = client.get(sent.headers["location"].removeprefix("/ui")).json()
    assert (made["continues"], made["spec"]["continues"]["rate"]) == ("old", "constant")
