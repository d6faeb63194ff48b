"""/metrics: what Prometheus reads is what happened and what is stored."""

from __future__ import annotations

from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from service.api.app import create_app
from service.api.watching.metrics import Metrics, Sources
from service.reconcile.thread import Pass
from service.shared.settings import Settings
from service.store.records import StoreUnavailable
from tests.data_factories import spec_document
from tests.fakes import FakeBackend
from tests.unit.service.conftest import bearer, make_token

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def _read(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _labels(**labels: str) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())


def test_requests_are_counted_by_route_not_by_address(client: TestClient) -> None:
    """A thousand experiments are one line: labels have few values, also for what is nowhere."""
    for path in ("/experiments/a", "/experiments/b", "/nowhere/1", "/nowhere/2"):
        assert client.get(path).status_code == 404
    found = _read(client.get("/metrics").text)
    counted = "rebalance_http_requests_total"
    route = "/experiments/{experiment_id}"
    assert found[counted, _labels(method="GET", route=route, status="404")] == 2
    assert found[counted, _labels(method="GET", route="(none)", status="404")] == 2
    assert found["rebalance_http_request_seconds_count", _labels(method="GET", route=route)] == 2


def test_what_is_stored_by_state(client: TestClient) -> None:
    client.post("/experiments", json=spec_document())
    found = _read(client.get("/metrics").text)
    assert found["rebalance_rows", _labels(kind="experiment", state="queued")] == 1
    assert found["rebalance_part_up", _labels(part="database")] == 1
    assert found["rebalance_part_up", _labels(part="ray")] == 0  # the fixture's cluster is down
    assert found["rebalance_reconciler_up", _labels()] == 1


def test_two_applications_count_apart(migrated: Settings) -> None:
    """Nothing is kept in the process: the registry is the application's."""
    one, other = (create_app(migrated, FakeBackend()) for _ in range(2))
    with TestClient(one, base_url="http://127.0.0.1") as first:
        first.get("/experiments")
    with TestClient(other, base_url="http://127.0.0.1") as second:
        assert 'route="/experiments"' not in second.get("/metrics").text


def test_figures_without_a_database() -> None:
    """A scrape is answered when it matters most, and says what is down."""

    def away() -> dict[str, dict[str, int]]:
        raise StoreUnavailable("no route to host")

    metrics = Metrics("1.0")
    metrics.watch(Sources(counts=away, last_pass=lambda: Pass(0.5, 40.0, False), parts=lambda: {"ray": True}))
    found = _read(metrics.text().decode())
    assert found["rebalance_part_up", _labels(part="database")] == 0
    assert found["rebalance_reconciler_lag_seconds", _labels()] == 40
    assert found["rebalance_reconciler_up", _labels()] == 0
    assert not any(name == "rebalance_rows" for name, _ in found)


def test_figures_are_for_those_who_may_read(migrated: Settings) -> None:
    closed = create_app(migrated.model_copy(update={"require_token": True}), FakeBackend())
    viewer = make_token(migrated, "viewer")
    with TestClient(closed, base_url="http://127.0.0.1") as client:
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", headers=bearer(viewer.token)).status_code == 200
