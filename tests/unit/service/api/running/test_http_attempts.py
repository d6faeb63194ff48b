"""GET …/attempts, and the page's table of them."""

from __future__ import annotations

from service.reconcile.cluster import JobStatus
from tests.data_factories import spec_document
from tests.unit.service.api.test_http_create import check_problem
from tests.unit.service.conftest import Cluster, TestClient, failed_report
from trainer.results.report import write_report


def test_attempts_are_listed(client: TestClient, cluster: Cluster) -> None:
    """Each with job, exit, error and the way to its log; pages go on; the page has them; 404 of nobody's."""
    wanted = client.post("/experiments", json=spec_document()).json()["id"]
    here = f"/experiments/{wanted}/attempts"
    assert client.get(here).json() == {"items": [], "next_cursor": None}
    cluster.step()
    report = failed_report(wanted, kind="NodeLost", retryable=True)
    write_report(report, cluster.settings.layout.attempt(wanted, 1).report)
    cluster.backend.finish(f"{wanted}-1", JobStatus.FAILED)
    cluster.step()
    found = client.get(here, params={"limit": 1}).json()
    (first,) = found["items"]
    facts = (first["job_id"], first["error_type"], first["counted"], first["log"])
    assert facts == (f"{wanted}-1", "NodeLost", False, f"/experiments/{wanted}/logs?attempt=1")
    assert client.get(first["log"]).status_code == 200
    assert found["next_cursor"] == "1"
    (second,) = client.get(here, params={"cursor": 1}).json()["items"]
    assert (second["attempt"], second["ended_at"]) == (2, None)
    page = client.get(f"/ui/experiments/{wanted}").text
    assert "Attempts (2)" in page
    assert "NodeLost" in page
    check_problem(client.get("/experiments/none/attempts"), 404)
    check_problem(client.get("/sweeps/none/attempts"), 404)
    check_problem(client.get("/followups/none/attempts"), 404)
