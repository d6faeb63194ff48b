"""POST /sweeps/{id}/extend: new trials in the same sweep, which goes on; what it had stays."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.shared.settings import Settings
from service.shared.states import State
from tests.unit.service.api.test_http_create import check_problem
from tests.unit.service.conftest import Cluster, TestClient
from tests.unit.service.sweep_job import SweepJob, optuna_document, sweep_document


def completed(client: TestClient, cluster: Cluster, *, left: int = 0, **document: Any) -> str:
    """Id of a sweep of four trials that came to its end, `left` of them never begun."""
    sweep = str(client.post("/sweeps", json=document or sweep_document()).json()["id"])
    job = cluster.job(sweep)
    known = 3 if document else 4
    for number in range(known - left):
        if document:
            continue
        job.begin(number)
        job.complete(number)
    job.end(limit="not all trials were begun: 1 seconds have passed" if left else None)
    cluster.step()
    assert cluster.store.sweeps.get(sweep).state is State.COMPLETED
    return sweep


def extend(client: TestClient, sweep: str, document: Any) -> Any:
    return client.post(f"/sweeps/{sweep}/extend", json=document)


def states(cluster: Cluster, sweep: str) -> list[State]:
    return list(dict(sorted(cluster.store.sweeps.trial_states(sweep).items())).values())


def test_new_trials_are_appended(client: TestClient, cluster: Cluster) -> None:
    """202: the sweep waits again with the reason, its completed trials stay, the new ones have the next
    numbers; its next job begins, and the table has all.
    """
    sweep = completed(client, cluster)
    answer = extend(client, sweep, {"seeds": 1, "axes": {"/method/lambda": [0.5]}})
    assert answer.status_code == 202, answer.text
    body = answer.json()
    assert (body["state"], body["attempt"], body["counts"]["total"]) == ("queued", 2, 9)
    assert (body["counts"]["completed"], body["counts"]["waiting"]) == (4, 5)
    assert states(cluster, sweep) == [State.COMPLETED] * 4 + [State.QUEUED] * 5
    last = client.get(f"/sweeps/{sweep}/events").json()["items"][-1]
    assert (last["from"], last["to"], last["reason"]) == ("completed", "queued", "extended: 5 further trials")
    rows = client.get(f"/experiments?sweep={sweep}&limit=200").json()["items"]
    new = sorted((each["sweep"]["trial"], each["sweep"]["row"], each["spec"]["seed"]) for each in rows)[4:]
    assert [each[0] for each in new] == [4, 5, 6, 7, 8]
    assert {each[1:] for each in new} == {
        *(("lambda=0.5", seed) for seed in (0, 1, 2)),
        *((row, 2) for row in ("lambda=0", "lambda=0.3")),
    }
    cluster.step()
    assert f"{sweep}-2" in cluster.backend.jobs
    cluster.backend.run(f"{sweep}-2")
    cluster.step()
    job = SweepJob.of(cluster.settings.layout, cluster.store.sweeps.get(sweep))
    for number in range(4, 9):
        job.begin(number)
        job.complete(number, tp=80)
    job.end(attempt=2)
    cluster.step()
    cluster.step()
    assert states(cluster, sweep) == [State.COMPLETED] * 9
    table = client.get(f"/sweeps/{sweep}/table").json()
    found = {each["row"]: len(each["seeds"]) for each in table["blocks"][0]["rows"]}
    assert found == {"lambda=0": 3, "lambda=0.3": 3, "lambda=0.5": 3}


def test_who_asked_is_noted_once(client: TestClient, cluster: Cluster) -> None:
    sweep = completed(client, cluster)
    extend(client, sweep, {"seeds": 1})
    deeds = client.get(f"/audit?subject={sweep}&action=extend").json()["items"]
    assert [each["detail"] for each in deeds] == ["extended: 2 further trials"]


def test_what_a_limit_has_left_waits_again(client: TestClient, cluster: Cluster) -> None:
    """Trials that the sweep's end cancelled before they began belong to its next job; one that somebody
    cancelled does not.
    """
    sweep = completed(client, cluster, left=2)
    assert states(cluster, sweep) == [State.COMPLETED] * 2 + [State.CANCELLED] * 2
    assert extend(client, sweep, {"seeds": [9]}).status_code == 202
    assert states(cluster, sweep) == [State.COMPLETED] * 2 + [State.QUEUED] * 4
    events = client.get(f"/experiments/{sweep}-0003/events").json()["items"]
    assert events[-1]["reason"] == "its sweep was extended"


def test_optuna_draws_more(client: TestClient, cluster: Cluster) -> None:
    """No row is stored before it is drawn; as many more are waited for."""
    sweep = completed(client, cluster, **optuna_document())
    body = extend(client, sweep, {"trials": 4}).json()
    assert (body["spec"]["limits"]["trials"], body["counts"]["total"]) == (7, 7)


@pytest.mark.parametrize(
    ("document", "pointer", "words"),
    [
        ({}, "", "asks for nothing"),
        ({"seeds": [0]}, "/seeds/0", "there already"),
        ({"axes": {"/method/lambda": [0.5, -1]}}, "/axes/~1method~1lambda/1", "below the minimum"),
        ({"axes": {"/method/tau": [1]}}, "/axes/~1method~1tau", "/method/lambda"),
        ({"trials": 2}, "/trials", "a grid draws none"),
        ({"seeds": 998, "axes": {"/method/lambda": [n / 100 for n in range(31, 60)]}}, "", "at most 10000"),
    ],
)
def test_what_cannot_be_meant(
    client: TestClient, cluster: Cluster, document: Any, pointer: str, words: str
) -> None:
    """422 at its place in what was asked; the sweep stays as it ended."""
    sweep = completed(client, cluster)
    problem = check_problem(extend(client, sweep, document), 422)
    assert problem["errors"][0]["pointer"] == pointer
    assert words in json.dumps(problem["errors"])
    assert cluster.store.sweeps.get(sweep).state is State.COMPLETED


def test_only_what_completed(client: TestClient, cluster: Cluster) -> None:
    """409 of one that goes on, of one that was cancelled, and the second time at once."""
    queued = str(client.post("/sweeps", json=sweep_document()).json()["id"])
    assert "once it has completed" in check_problem(extend(client, queued, {"seeds": 1}), 409)["detail"]
    client.post(f"/sweeps/{queued}/cancel")
    cluster.step()
    assert "a new sweep" in check_problem(extend(client, queued, {"seeds": 1}), 409)["detail"]
    sweep = completed(client, cluster)
    assert extend(client, sweep, {"seeds": 1}).status_code == 202
    check_problem(extend(client, sweep, {"seeds": 1}), 409)
    check_problem(extend(client, "swp-none", {"seeds": 1}), 404)


def test_what_only_extend_writes_is_not_taken_from_anybody(
    client: TestClient, cluster: Cluster, migrated: Settings
) -> None:
    """A document that says what it had before is refused."""
    del migrated
    sweep = completed(client, cluster)
    document = extend(client, sweep, {"seeds": 1}).json()["spec"]
    problem = check_problem(client.post("/sweeps", json=document), 422)
    assert problem["errors"][0]["pointer"] == "/grown"
    del document["grown"]
    assert client.post("/sweeps", json=document).status_code == 201
