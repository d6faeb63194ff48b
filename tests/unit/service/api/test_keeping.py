"""What is deleted over HTTP, and what is on record of it."""

from __future__ import annotations

import pytest

from service.shared.settings import Settings
from service.shared.states import State
from tests.data_factories import make_report, spec_document
from tests.unit.service.api.test_http_create import check_problem
from tests.unit.service.conftest import Cluster, TestClient, new_row


@pytest.fixture
def ended(cluster: Cluster) -> str:
    cluster.store.create(new_row("e1", state=State.COMPLETED), new_tags={"a": "b"})
    cluster.settings.layout.attempt("e1", 1).report.write(make_report("e1").model_dump_json())
    return "e1"


def test_an_experiment_is_deleted(client: TestClient, migrated: Settings, ended: str) -> None:
    """Once, with its files where that is asked for; what names it afterwards is told when it went."""
    assert client.get("/comparisons", params={"ids": ended}).status_code == 200
    answer = client.delete(f"/experiments/{ended}", params={"artifacts": "true"})
    assert answer.json() == {"id": ended, "kind": "experiment", "artifacts": True, "left": []}
    assert not migrated.layout.experiment(ended).exists()
    for again in (
        client.delete(f"/experiments/{ended}"),
        client.get(f"/experiments/{ended}"),
        client.get("/comparisons", params={"ids": ended}),
    ):
        told = check_problem(again, 404)["detail"]
        assert "there is no experiment 'e1'; it was deleted at " in told


def test_what_goes_on_is_refused(client: TestClient) -> None:
    identifier = client.post("/experiments", json=spec_document()).json()["id"]
    told = check_problem(client.delete(f"/experiments/{identifier}"), 409)["detail"]
    assert told == f"experiment {identifier} is queued; only what has ended can be deleted: cancel it first"


def test_the_record_of_changes(client: TestClient, ended: str) -> None:
    """Newest first, page by page, narrowed; each change by the id of its request."""
    client.post("/experiments", json=spec_document(), headers={"X-Request-ID": "asked-1"})
    client.delete(f"/experiments/{ended}")
    first = client.get("/audit", params={"limit": 1}).json()
    assert [(each["action"], each["subject"]) for each in first["items"]] == [("delete", ended)]
    rest = client.get("/audit", params={"cursor": first["next_cursor"]}).json()
    assert [(each["action"], each["actor"], each["request"]) for each in rest["items"]] == [
        ("submit", None, "asked-1")
    ]
    assert rest["next_cursor"] is None
    only = client.get("/audit", params={"subject": ended, "action": "delete", "kind": "experiment"})
    assert len(only.json()["items"]) == 1
    assert client.get("/audit", params={"actor": "kim"}).json()["items"] == []
    check_problem(client.get("/audit", params={"cursor": "first"}), 400)


@pytest.mark.parametrize(("name", "allowed"), [("action", "cancel"), ("kind", "follow-up")])
def test_a_misspelt_word_finds_not_nothing(client: TestClient, name: str, allowed: str) -> None:
    """What can be on no record is refused, with the words that can."""
    told = client.get("/audit", params={name: "frob"})
    assert told.status_code == 422
    (wrong,) = told.json()["errors"]
    assert wrong["pointer"] == f"/query/{name}/0"
    assert allowed in wrong["allowed"]
