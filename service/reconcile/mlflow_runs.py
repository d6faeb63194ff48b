"""What the service itself asks of MLflow: over REST, for MLflow's package takes seconds to import."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Generator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from service.reconcile.cluster import AccessRefused, BackendUnreachable, RunFact
from service.reconcile.mlflow.bin import binned, place_of
from service.shared.network.http_transport import transport_of
from service.shared.network.proxies import way_to
from trainer.tracking.credentials import (
    PASSWORD,
    PASSWORD_FILE,
    USERNAME,
    CredentialsRefused,
    mlflow_credentials,
)

_TIMEOUT_SECONDS = 5.0
_WHERE = f"{USERNAME} and {PASSWORD} or {PASSWORD_FILE} must name them"
_OPEN = frozenset({"RUNNING", "SCHEDULED"})


class MlflowRuns:
    """The `RunCloser` of a tracking server."""

    def __init__(self, uri: str, *, transport: httpx.BaseTransport | None = None) -> None:
        """Raises ProxyRefused where the environment names a proxy for `uri` that cannot be used.

        The credentials are those of the environment: see `trainer.tracking.credentials`.
        """
        self._name = f"MLflow at {urlsplit(uri).hostname}"
        self._artifacts = f"{uri.rstrip('/')}/api/2.0/mlflow-artifacts/artifacts"
        self._client = httpx.Client(
            base_url=f"{uri.rstrip('/')}/api/2.0/mlflow",
            timeout=_TIMEOUT_SECONDS,
            transport=transport or transport_of(way_to(uri, os.environ)),
            auth=_Credentials(os.environ),
        )

    def close(self) -> None:
        self._client.close()

    def close_run(self, run_id: str, status: str) -> None:
        """Gives the run, if it exists, `status` (FINISHED, FAILED, KILLED), and an end unless it has one.

        An attempt that failed has ended the run so; what became of its experiment later, such as a cancel
        while it waited for the next, is told here.

        Raises:
            BackendUnreachable: MLflow does not answer, or refuses.
        """
        found = self._ask("GET", "/runs/get", params={"run_id": run_id})
        info = found.get("run", {}).get("info", {}) if found is not None else {"status": status}
        if info.get("status") == status:
            return
        ended_at = None if info.get("status") in _OPEN else info.get("end_time")
        self._ask(
            "POST",
            "/runs/update",
            json={"run_id": run_id, "status": status, "end_time": ended_at or int(time.time() * 1000)},
        )

    def delete_run(self, run_id: str) -> None:
        """Puts the run into MLflow's bin, where `mlflow gc` finds it, and takes away what it had logged.

        Artifacts that MLflow does not hand on itself (an s3:// of the jobs' own) stay for `mlflow gc`.

        Raises:
            BackendUnreachable: MLflow does not answer, or refuses.
        """
        found = self._ask("GET", "/runs/get", params={"run_id": run_id})
        if found is None:
            return
        place = place_of(str(found.get("run", {}).get("info", {}).get("artifact_uri", "")))
        self._ask("POST", "/runs/delete", json={"run_id": run_id})
        if place is not None:
            self._ask("DELETE", f"{self._artifacts}/{quote(place)}")

    def binned(self, run_ids: Collection[str]) -> dict[str, int]:
        """Those of the runs that lie in the bin with something that they logged, and its bytes.

        Raises:
            BackendUnreachable: MLflow does not answer, or refuses.
        """
        return binned(self._ask, self._artifacts, run_ids)

    def look(self, runs: Mapping[str, str]) -> dict[str, RunFact]:
        """What MLflow says of each of these runs, given with the experiment they lie in; at most some 200.

        Raises:
            BackendUnreachable: MLflow does not answer, or refuses.
        """
        runs = {run_id: group for run_id, group in runs.items() if run_id.isalnum() and group.isalnum()}
        if not runs:
            return {}
        names = ", ".join(f"'{run_id}'" for run_id in runs)
        wanted = {
            "experiment_ids": sorted(set(runs.values())),
            "filter": f"attributes.run_id IN ({names})",
            "run_view_type": "ALL",
            "max_results": len(runs),
        }
        found = self._ask("POST", "/runs/search", json=wanted)
        if found is None:
            return {}
        infos = [run.get("info", {}) for run in found.get("runs", ())]
        stages = {info.get("run_id"): info.get("lifecycle_stage") for info in infos}
        return {run_id: _fact(stages.get(run_id)) for run_id in runs}

    def ping(self) -> None:
        """Returns if MLflow answers, its database included.

        Raises:
            BackendUnreachable: it does not; AccessRefused: it does, and refuses.
        """
        self._ask("POST", "/experiments/search", json={"max_results": 1})

    def _ask(self, method: str, path: str, **arguments: Any) -> dict[str, Any] | None:
        """The answer's document, None where MLflow has no such run, or says that none can have this id."""
        try:
            answer = self._client.request(method, path, **arguments)
            if answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.BAD_REQUEST):
                return None
            if answer.status_code == httpx.codes.UNAUTHORIZED:
                raise AccessRefused(f"{self._name} refuses the credentials: {_said(answer)} ({_WHERE})")
            if answer.status_code == httpx.codes.FORBIDDEN:
                raise AccessRefused(f"{self._name} refuses this service: {_said(answer)}")
            answer.raise_for_status()
            document = answer.json()
        except CredentialsRefused as error:
            raise AccessRefused(f"{self._name} is shown no credentials: {error}") from None
        except (httpx.HTTPError, ValueError) as error:
            raise BackendUnreachable(f"{self._name}: {error}") from error
        return document if isinstance(document, dict) else {}


class _Credentials(httpx.Auth):
    """Shows name and password with each request, as they are then: new ones need no restart."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Raises CredentialsRefused."""
        found = mlflow_credentials(self._environment)
        if found is None:
            yield request
        else:
            yield from httpx.BasicAuth(*found).auth_flow(request)


def _fact(stage: str | None) -> RunFact:
    return RunFact.GONE if stage is None else RunFact.DELETED if stage == "deleted" else RunFact.THERE


def _said(answer: httpx.Response) -> str:
    return f"{answer.status_code} {answer.reason_phrase}".strip()
