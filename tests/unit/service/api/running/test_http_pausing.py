"""POST /experiments/{id}/pause and /resume, and the buttons that do the same."""

from __future__ import annotations

from service.shared.settings import Settings
from service.store.experiments import Store
from tests.data_factories import spec_document
from tests.unit.service.api.test_http_create import check_problem
from tests.unit.service.conftest import Cluster, TestClient, new_row


def test_pause_and_resume(client: TestClient, cluster: Cluster) -> None:
    """202 with the wish; the state follows with why it waits; the page offers the other of the two."""
    wanted = client.post("/experiments", json=spec_document()).json()["id"]
    assert f"/ui/experiments/{wanted}/pause" in client.get(f"/ui/experiments/{wanted}").text
    asked = client.post(f"/experiments/{wanted}/pause")
    assert (asked.status_code, asked.json()["state"]) == (202, "queued")
    assert asked.json()["pause_requested_at"]
    cluster.step()
    found = client.get(f"/experiments/{wanted}").json()
    assert (found["state"], found["waiting"]["code"]) == ("paused", "paused")
    assert client.get("/experiments", params={"state": "paused"}).json()["items"][0]["id"] == wanted
    assert client.get("/queue").json()["items"] == []
    page = client.get(f"/ui/experiments/{wanted}").text
    assert "state-paused" in page
    assert f"/ui/experiments/{wanted}/resume" in page
    assert f"/ui/experiments/{wanted}/pause" not in page
    check_problem(client.post(f"/experiments/{wanted}/retry"), 409)
    again = client.post(found["links"]["resume"])
    assert (again.status_code, again.json()["state"], again.json()["attempt"]) == (202, "queued", 1)
    assert client.post(f"/experiments/{wanted}/resume").status_code == 202  # asked twice


def test_what_cannot_rest_is_told(client: TestClient, migrated: Settings) -> None:
    """404, 409 of what has ended, 409 of a trial with the command that pauses its sweep; no button for it."""
    check_problem(client.post("/experiments/none/pause"), 404)
    check_problem(client.post("/experiments/none/resume"), 404)
    store = Store(migrated.database)
    store.create(new_row("over", state="cancelled"), new_tags={})
    store.create(new_row("trial", sweep_id="swp-1", trial=0, state="running"), new_tags={})
    store.close()
    for verb in ("pause", "resume"):
        check_problem(client.post(f"/experiments/over/{verb}"), 409)
        told = check_problem(client.post(f"/experiments/trial/{verb}"), 409)
        assert "rebalance sweep pause swp-1" in told["detail"]
