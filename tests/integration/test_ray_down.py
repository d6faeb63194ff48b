"""`rebalance serve` on a Ray that is not there: it starts, accepts, keeps, and launches when Ray comes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from service.client import RebalanceClient
from service.local.data_dir import free_ports
from service.local.instance import Embedded
from service.shared.settings import load_settings
from service.shared.states import State
from tests.data_factories import spec_document
from tests.unit.service.served import Lines

pytestmark = pytest.mark.integration

LIMIT_SECONDS = 60.0


class _JobsApi(BaseHTTPRequestHandler):
    """As much of Ray's Jobs API as a submit needs."""

    def do_GET(self) -> None:
        self._answer({"version": "4", "ray_version": "2.60.0", "ray_commit": "0", "session_name": "s"})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer({"job_id": asked["submission_id"], "submission_id": asked["submission_id"]})

    def _answer(self, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@contextmanager
def _jobs_api(port: int) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", port), _JobsApi) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield
        server.shutdown()
        thread.join()


def _until(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {LIMIT_SECONDS} s: {what}"
        threading.Event().wait(0.1)


def test_starts_accepts_and_keeps(tmp_path: Path) -> None:
    """Ready, and degraded with the address that does not answer; what is queued goes without a restart."""
    ray_port, mlflow_port = free_ports(2)
    ray = f"http://127.0.0.1:{ray_port}"
    settings = load_settings(
        data_dir=tmp_path / "data",
        port=0,
        ray_address=ray,
        mlflow_uri=f"http://127.0.0.1:{mlflow_port}",
        poll_seconds=0.2,
    )
    told = Lines()
    with (
        Embedded(settings, told, threading.Event()) as running,
        RebalanceClient(running.endpoints.api) as api,
    ):
        running.check()
        assert [line for line in told.lines if line.startswith("backend: ") and ray in line]
        found = api.ready()
        assert found.status == "degraded"
        assert ray in found.troubles()["backend"]
        stored = api.submit(spec_document())
        assert api.experiment(stored.id).state is State.QUEUED
        with _jobs_api(ray_port):
            _until(lambda: api.experiment(stored.id).state is not State.QUEUED, "the job is submitted")
            assert "backend" not in api.ready().troubles()
