"""How often one caller may ask, and how much may wait."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.api.entry.throttle import Rate
from service.shared.settings import Settings
from tests.data_factories import spec_document
from tests.fakes import FakeBackend
from tests.unit.service.conftest import bearer, make_token
from tests.unit.service.sweep_job import sweep_document


class Clock:
    """Moved by the test alone."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def _client(settings: Settings, **changes: object) -> TestClient:
    backend = FakeBackend()
    backend.down = True
    app = create_app(settings.model_copy(update=changes), backend)
    return TestClient(app, base_url="http://127.0.0.1")


def test_a_rate_is_kept_on_average_and_a_burst_allowed() -> None:
    clock = Clock()
    rate = Rate(2.0, clock=clock)
    assert [rate.wait_seconds("a") for _ in range(20)] == [0.0] * 20  # ten seconds' worth at once
    assert rate.wait_seconds("a") == pytest.approx(0.5)
    assert rate.wait_seconds("b") == 0.0  # another's is its own
    clock.now += 0.5
    assert rate.wait_seconds("a") == 0.0


def test_a_caller_who_asks_too_often_is_told_when_to_come_back(migrated: Settings) -> None:
    with _client(migrated, max_writes_per_second=0.1) as client:
        assert client.post("/experiments", json=spec_document()).status_code == 201
        refused = client.post("/experiments", json=spec_document())
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 10
        assert refused.json()["type"].endswith(":too-often")
        assert client.get("/experiments").json()["items"][1:] == []  # nothing was stored, and reads are free


def test_each_token_has_its_own_rate(migrated: Settings) -> None:
    """Two people behind one proxy do not spend each other's; who shows no token spends nobody's."""
    one, other = (bearer(make_token(migrated, "viewer").token) for _ in range(2))
    with _client(migrated, max_reads_per_second=0.1, require_token=True) as client:
        for _ in range(3):
            assert client.get("/experiments").status_code == 401
        assert client.get("/experiments", headers=one).status_code == 200
        assert client.get("/experiments", headers=one).status_code == 429
        assert client.get("/experiments", headers=other).status_code == 200


def test_health_is_always_told(migrated: Settings) -> None:
    with _client(migrated, max_reads_per_second=0.1) as client:
        assert {client.get("/healthz").status_code for _ in range(5)} == {200}


def test_a_full_queue_takes_nothing_more(migrated: Settings) -> None:
    """Until there is room: what is refused is told so, and what was accepted before is known."""
    key = {"Idempotency-Key": "once"}
    with _client(migrated, max_queued=2) as client:
        accepted = client.post("/experiments", json=spec_document(), headers=key)
        client.post("/experiments", json=spec_document())
        refused = client.post("/experiments", json=spec_document())
        assert (refused.status_code, refused.json()["title"]) == (503, "The queue is full")
        assert int(refused.headers["retry-after"]) > 0
        again = client.post("/experiments", json=spec_document(), headers=key)
        assert again.json()["id"] == accepted.json()["id"]
        assert client.post("/experiments?validate_only=true", json=spec_document()).status_code == 200
        client.post(f"/experiments/{accepted.json()['id']}/cancel")


@pytest.mark.parametrize("path", ["/experiments", "/sweeps"])
def test_a_full_queue_looks_at_no_data(migrated: Settings, path: str) -> None:
    """What has no room costs no more than to read its document."""
    lost = spec_document(dataset={"name": "folder", "root": "/no/such/directory"})
    document = sweep_document(base=lost, axes=[]) if path == "/sweeps" else lost
    with _client(migrated, max_queued=1) as client:
        client.post("/experiments", json=spec_document())
        assert client.post(path, json=document).status_code == 503
