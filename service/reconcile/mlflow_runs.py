"""Ends the MLflow run of a job that died: over REST, for MLflow's package takes seconds to import."""

from __future__ import annotations

import os
import time
from typing import Any

import httpx

from service.reconcile.cluster import BackendUnreachable
from service.shared.http_transport import transport_of
from service.shared.proxies import way_to

_TIMEOUT_SECONDS = 5.0
_OPEN = frozenset({"RUNNING", "SCHEDULED"})


class MlflowRuns:
    """The `RunCloser` of a tracking server."""

    def __init__(self, uri: str, *, transport: httpx.BaseTransport | None = None) -> None:
        """Raises ProxyRefused where the environment names a proxy for `uri` that cannot be used."""
        self._client = httpx.Client(
            base_url=f"{uri.rstrip('/')}/api/2.0/mlflow",
            timeout=_TIMEOUT_SECONDS,
            transport=transport or transport_of(way_to(uri, os.environ)),
        )

    def close(self) -> None:
        self._client.close()

    def close_run(self, run_id: str, status: str) -> None:
        """Ends the run with `status` (FINISHED, FAILED, KILLED) unless it has ended or does not exist.

        Raises:
            BackendUnreachable: MLflow does not answer, or refuses.
        """
        found = self._ask("GET", "/runs/get", params={"run_id": run_id})
        if found is None or found.get("run", {}).get("info", {}).get("status") not in _OPEN:
            return
        self._ask(
            "POST",
            "/runs/update",
            json={"run_id": run_id, "status": status, "end_time": int(time.time() * 1000)},
        )

    def _ask(self, method: str, path: str, **arguments: Any) -> dict[str, Any] | None:
        """The answer's document, None where MLflow has no such run, or says that none can have this id."""
        try:
            answer = self._client.request(method, path, **arguments)
            if answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.BAD_REQUEST):
                return None
            answer.raise_for_status()
            document = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise BackendUnreachable(f"MLflow at {self._client.base_url.host}: {error}") from error
        return document if isinstance(document, dict) else {}
