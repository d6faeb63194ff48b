"""POST /sweeps of what was run before: each trial's `duplicate_of`, the sweep's, and ?reuse=true."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from service.reconcile.reconciler import utc_now
from service.shared.settings import Settings
from service.shared.states import State
from service.store.experiments import Store
from tests.data_factories import spec_document
from tests.unit.service.api import test_http_reuse as single
from tests.unit.service.conftest import TestClient
from tests.unit.service.sweep_job import optuna_document, sweep_document


def post(client: TestClient, document: dict[str, Any] | None = None, status: int = 201, **params: Any) -> Any:
    answer = client.post("/sweeps", json=document or sweep_document(), params=params)
    assert answer.status_code == status, answer.text
    return answer.json()


def trials_of(client: TestClient, sweep: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"/sweeps/{sweep}").json()["trials"]
    return found


def run(client: TestClient, settings: Settings, sweep: str, **changes: Any) -> list[str]:
    """All of it, to its end; the ids of its trials."""
    found = [each["experiment"] for each in trials_of(client, sweep)]
    for each in found:
        single.run(settings, each, **changes)
    end(settings, sweep)
    return found


def end(settings: Settings, sweep: str, to: State = State.COMPLETED) -> None:
    with closing(Store(settings.database)) as store:
        row = store.sweeps.get(sweep)
        for state in (State.SUBMITTED, State.RUNNING, to):
            row = store.sweeps.transition(row, to=state, reason="as it went", now=utc_now())


def test_a_trial_says_which_experiment_it_repeats(client: TestClient, migrated: Settings) -> None:
    """Those that the earlier sweep had; a value that it had not is new."""
    first = post(client)
    assert (first["duplicate_of"], trials_of(client, first["id"])[0]["duplicate_of"]) == (None, None)
    before = run(client, migrated, first["id"])
    wider = sweep_document(axes=[{"pointer": "/method/lambda", "grid": [0, 0.3, 0.5]}])
    second = post(client, wider)
    assert second["duplicate_of"] is None
    trials = trials_of(client, second["id"])
    assert [each["duplicate_of"] for each in trials] == [*before[:2], None, *before[2:], None]
    shown = client.get(f"/experiments/{trials[0]['experiment']}").json()
    assert shown["duplicate_of"] == before[0]
    assert f"/ui/experiments/{before[0]}" in client.get(f"/ui/sweeps/{second['id']}").text


def test_an_experiment_and_a_trial_are_the_same(client: TestClient, migrated: Settings) -> None:
    """The spec counts, not who asked for it."""
    made = trials_of(client, post(client)["id"])[0]["experiment"]
    spec = client.get(f"/experiments/{made}").json()["spec"]
    assert single.post(client, spec)["duplicate_of"] == made


def test_the_same_sweep_is_named_and_reused(client: TestClient, migrated: Settings) -> None:
    """201 with its id; with reuse 200, that one, and nothing is stored; how it is queued does not matter."""
    first = post(client)["id"]
    run(client, migrated, first)
    assert post(client)["duplicate_of"] == first
    queued = sweep_document(scheduling={"priority": 3}, limits={"concurrent_trials": 1})
    number = len(client.get("/sweeps").json()["items"])
    answer = client.post("/sweeps", json=queued, params={"reuse": "true"})
    assert (answer.status_code, answer.json()["id"]) == (200, first)
    assert answer.headers["location"] == f"/sweeps/{first}"
    assert len(client.get("/sweeps").json()["items"]) == number
    assert f"/ui/sweeps/{first}" in client.get(f"/ui/sweeps/{post(client)['id']}").text


def test_one_that_waits_is_reused(client: TestClient) -> None:
    """It will read the code and data that are there now; of optuna, too, which has drawn nothing."""
    first, drawn = post(client)["id"], post(client, optuna_document())["id"]
    assert post(client, reuse=True, status=200)["id"] == first
    assert post(client, optuna_document(), reuse=True, status=200)["id"] == drawn


def test_a_sweep_of_other_trials_is_another(client: TestClient) -> None:
    """Other seeds, another order of variants: the first is what the table compares with."""
    variants = {"a": {"kind": "baseline"}, "b": {"kind": "balanced_softmax"}}
    document = {"base": spec_document(), "variants": variants}
    post(client, document)
    assert post(client, document | {"seeds": [1]}, reuse=True)["duplicate_of"] is None
    turned = document | {"variants": dict(reversed(list(variants.items())))}
    assert post(client, turned, reuse=True)["duplicate_of"] is None
    assert post(client, document, reuse=True, status=200)["name"] == ""


@pytest.mark.parametrize("way", ["failed", "cancelled", "to be cancelled", "trial", "code"])
def test_what_came_to_less_is_not_reused(client: TestClient, migrated: Settings, way: str) -> None:
    """One that did not complete, is not to, has lost a trial, or had other code in one of them."""
    first = post(client)["id"]
    trials = [each["experiment"] for each in trials_of(client, first)]
    single.run(migrated, trials[0], State.FAILED if way == "trial" else State.COMPLETED)
    for each in trials[1:]:
        single.run(migrated, each, **({"code": "older"} if way == "code" else {}))
    if way == "to be cancelled":
        client.post(f"/sweeps/{first}/cancel")
    else:
        end(migrated, first, {"failed": State.FAILED, "cancelled": State.CANCELLED}.get(way, State.COMPLETED))
    assert post(client, reuse=True)["duplicate_of"] is None


def test_more_trials_say_it_too(client: TestClient, migrated: Settings) -> None:
    """What is added by `extend` was run in another sweep; the longer one is the same as neither."""
    other = run(client, migrated, post(client, sweep_document(seeds=[2]))["id"])
    first = post(client)["id"]
    run(client, migrated, first)
    assert client.post(f"/sweeps/{first}/extend", json={"seeds": [2]}).status_code == 202
    assert [each["duplicate_of"] for each in trials_of(client, first)[4:]] == other
    assert post(client, reuse=True)["duplicate_of"] is None
