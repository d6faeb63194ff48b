"""Postgres goes away and comes back while the service runs on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.migrations import migrate
from service.shared.settings import Settings
from tests.data_factories import spec_document
from tests.fakes import FakeBackend
from tests.postgres import Server
from tests.unit.service.conftest import until

pytestmark = pytest.mark.integration


@pytest.fixture
def url(postgres: Server) -> Iterator[str]:
    """A database reached with a password, which nothing may repeat."""
    postgres.create("restarted")
    yield postgres.url("restarted", user="service", password=postgres.password)
    postgres.drop("restarted")


def test_requests_get_503_while_it_is_away_and_all_goes_on_after(
    postgres: Server, url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each request gets a problem document, without the password; the reconciler goes on by itself."""
    settings = Settings(data_dir=tmp_path, database_url=url, poll_seconds=0.1)
    migrate(settings)
    backend = FakeBackend()
    with TestClient(create_app(settings, backend), base_url="http://127.0.0.1") as client:
        first = client.post("/experiments", json=spec_document()).json()["id"]
        until(lambda: f"{first}-1" in backend.jobs)
        postgres.stop()
        try:
            asked: list[Callable[[], object]] = [
                lambda: client.get("/experiments"),
                lambda: client.get(f"/experiments/{first}"),
                lambda: client.post("/experiments", json=spec_document()),
                lambda: client.post(f"/experiments/{first}/cancel"),
                lambda: client.get("/sweeps"),
                lambda: client.get("/readyz"),
            ]
            for ask in asked:
                answer = ask()
                assert answer.status_code == 503, answer.text
                assert answer.headers["content-type"] == "application/problem+json"
                assert postgres.password not in answer.text
            until(lambda: "reconciler" in client.get("/readyz").text)
            assert client.get("/healthz").status_code == 200
        finally:
            postgres.start()
        second = client.post("/experiments", json=spec_document())
        assert second.status_code == 201, "the first request after it has come back is answered"
        until(lambda: f"{second.json()['id']}-1" in backend.jobs)
        until(lambda: client.get("/readyz").status_code == 200)
        backend.run(f"{first}-1")
        until(lambda: client.get(f"/experiments/{first}").json()["state"] == "running")
    assert postgres.password not in caplog.text
