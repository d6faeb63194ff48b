"""Whose things may be changed, at every route and page of a service that asks for tokens."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from service.api.app import create_app
from service.reconcile.reconciler import utc_now
from service.shared.settings import Settings
from service.shared.token_schemas import TokenCreate
from service.store.experiments import Store
from tests.data_factories import spec_document
from tests.fakes import FakeBackend
from tests.unit.service.api.entry.test_guard import ROUTES
from tests.unit.service.api.test_http_create import check_problem
from tests.unit.service.api.web.test_doors import CHANGES, SAME, log_in, proof
from tests.unit.service.checkpoint_files import leave_checkpoints
from tests.unit.service.conftest import TestClient, bearer
from tests.unit.service.sweep_job import sweep_document

MEMBERS = '[projects.roads]\nmembers = ["lee", "max"]\n'
# What only reads the experiment: what comes out is the caller's own.
READ_IT = ("/evaluations", "/predictions", "/exports", "/experiments/{experiment_id}/extend")
OF_ONE = ("/experiments/{experiment_id}", "/sweeps/{sweep_id}", "/followups/{followup_id}")
CHANGING = sorted(
    (method, path)
    for method, path in ROUTES
    if method not in ("GET", "HEAD") and path.startswith(OF_ONE) and not path.endswith(READ_IT)
)


@pytest.fixture
def closed(migrated: Settings, tmp_path: Path) -> Settings:
    """As a service that others reach, with a project."""
    (tmp_path / "policy.toml").write_text(MEMBERS)
    return migrated.model_copy(update={"host": "0.0.0.0", "policy": tmp_path / "policy.toml"})


@pytest.fixture
def app(closed: Settings, backend: FakeBackend) -> FastAPI:
    return create_app(closed, backend)


@pytest.fixture
def shown(closed: Settings) -> dict[str, dict[str, str]]:
    """The header of each person."""
    scopes: dict[str, Any] = {"kim": "user", "lee": "user", "boss": "admin"}
    with closing(Store(closed.database)) as store:
        made = {
            name: store.tokens.create(TokenCreate(name=name, scope=scope), now=utc_now())
            for name, scope in scopes.items()
        }
    return {name: bearer(each.token) for name, each in made.items()}


def store_all(
    client: TestClient, headers: dict[str, str], settings: Settings, **scheduling: str
) -> dict[str, str]:
    """An experiment, a sweep and a follow-up of one person, as what an address names."""
    document = {**spec_document(), "scheduling": scheduling}
    experiment = client.post("/experiments", json=document, headers=headers).json()["id"]
    sweep = client.post("/sweeps", json={**sweep_document(), "scheduling": scheduling}, headers=headers)
    leave_checkpoints(settings.layout, experiment)
    followup = client.post(f"/experiments/{experiment}/evaluations", json={}, headers=headers).json()["id"]
    return {
        "experiment_id": experiment,
        "sweep_id": sweep.json()["id"],
        "followup_id": followup,
        "number": "0",
        "name": "final",
    }


def statuses(
    client: TestClient, names: dict[str, str], headers: dict[str, str]
) -> dict[tuple[str, str], int]:
    sent = {"headers": headers, "json": {"keep": []}}
    return {
        (method, path): client.request(method, path.format(**names), **sent).status_code  # type: ignore[arg-type]
        for method, path in CHANGING
    }


def test_others_change_nothing(client: TestClient, closed: Settings, shown: dict[str, Any]) -> None:
    """Each route of one experiment, sweep or follow-up that changes something, also one yet to be written."""
    names = store_all(client, shown["kim"], closed)
    assert len(CHANGING) > 10
    assert set(statuses(client, names, shown["lee"]).values()) == {403}
    answer = client.post(f"/experiments/{names['experiment_id']}/cancel", headers=shown["lee"])
    told = check_problem(answer, 403)
    assert told["type"].endswith(":not-yours")
    assert told["detail"] == (
        f"experiment {names['experiment_id']} is kim's; cancel is for kim or an administrator, "
        "and this token is lee's"
    )
    for who in ("boss", "kim"):
        assert 403 not in statuses(client, names, shown[who]).values()


def test_a_projects_members_change_what_is_its(
    client: TestClient, closed: Settings, shown: dict[str, Any]
) -> None:
    names = store_all(client, shown["kim"], closed, project="roads")
    assert 403 not in statuses(client, names, shown["lee"]).values()


def test_others_read_and_use_it(client: TestClient, closed: Settings, shown: dict[str, Any]) -> None:
    """A follow-up of somebody's experiment is one's own; so is one that goes on from it, refused here because
    it has not ended.
    """
    names = store_all(client, shown["kim"], closed)
    place = f"/experiments/{names['experiment_id']}"
    assert client.get(place, headers=shown["lee"]).status_code == 200
    made = client.post(f"{place}/evaluations", json={}, headers=shown["lee"])
    assert made.json()["queue"]["owner"] == "lee"
    longer = client.post(f"{place}/extend", json={"iterations": 1}, headers=shown["lee"])
    assert longer.status_code == 409


def test_lists_of_ones_own(client: TestClient, closed: Settings, shown: dict[str, Any]) -> None:
    """By owner and project, of experiments and sweeps; without tokens nobody is @me."""
    mine = store_all(client, shown["kim"], closed, project="roads")
    store_all(client, shown["lee"], closed)

    def ids(path: str, who: str = "kim", **query: str) -> set[str]:
        found = client.get(path, params=query, headers=shown[who])
        return {each["id"] for each in found.json()["items"] if each.get("sweep") is None}

    for path, name in (("/experiments", "experiment_id"), ("/sweeps", "sweep_id")):
        assert len(ids(path)) == 2
        for query in ({"owner": "@me"}, {"owner": "kim"}, {"project": "roads"}):
            assert ids(path, **query) == {mine[name]}
        assert mine[name] not in ids(path, "lee", owner="@me")
        assert ids(path, owner="boss") == set()


def test_an_open_service_knows_nobody(migrated: Settings, backend: FakeBackend) -> None:
    """There all is everybody's."""
    with TestClient(create_app(migrated, backend), base_url="http://127.0.0.1") as client:
        names = store_all(client, {}, migrated)
        assert 403 not in statuses(client, names, {}).values()
        told = check_problem(client.get("/experiments", params={"owner": "@me"}), 422)
        assert told["errors"][0]["pointer"] == "/query/owner/0"


def test_pages_have_buttons_and_doors_for_owners_alone(
    closed: Settings, backend: FakeBackend, shown: dict[str, Any]
) -> None:
    """What a page offers is what it may do; a form that is sent anyway is refused in words."""
    with TestClient(
        create_app(closed, backend), base_url="http://127.0.0.1", follow_redirects=False
    ) as client:
        names = store_all(client, shown["kim"], closed)
        page = f"/ui/experiments/{names['experiment_id']}"
        for who, may in (("lee", False), ("kim", True)):
            client.cookies.clear()
            log_in(client, shown[who]["Authorization"].split()[1])
            assert (f"{page}/cancel" in client.get(page).text) is may
            ids = {"experiments": "experiment_id", "sweeps": "sweep_id", "followups": "followup_id"}
            for path in (
                each for each in CHANGES if each.split("/")[2] in ids and not each.endswith(READ_IT[3])
            ):
                url = re.sub(r"\{.*?\}", names[ids[path.split("/")[2]]], path)
                answer = client.post(url, data=proof(client), headers=SAME)
                assert (answer.status_code != 403) is may, (who, path)
                assert may or "and this token is lee" in answer.text
