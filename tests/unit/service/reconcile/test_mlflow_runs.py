"""Closing MLflow runs over REST."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from service.reconcile.cluster import AccessRefused, BackendUnreachable, RunFact
from service.reconcile.mlflow_runs import MlflowRuns

ENDED = 1_700_000_000_000  # milliseconds


class Server:
    """Just enough of MLflow: one run."""

    def __init__(self, status: str | None, *, broken: int | None = None) -> None:
        self.status = status
        self.broken = broken
        self.update: dict[str, Any] | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.broken is not None:
            return httpx.Response(self.broken, text="<html>")
        if self.status is None:
            return httpx.Response(404, json={"error_code": "RESOURCE_DOES_NOT_EXIST"})
        if request.url.path == "/api/2.0/mlflow/runs/get":
            assert request.url.params["run_id"] == "m1"
            ended = {} if self.status in ("RUNNING", "SCHEDULED") else {"end_time": ENDED}
            return httpx.Response(200, json={"run": {"info": {"status": self.status, **ended}}})
        assert request.url.path == "/api/2.0/mlflow/runs/update"
        self.update = json.loads(request.content)
        return httpx.Response(200, json={})


def close(server: Server) -> None:
    runs = MlflowRuns("http://127.0.0.1:5000/", transport=httpx.MockTransport(server))
    try:
        runs.close_run("m1", "KILLED")
    finally:
        runs.close()


def test_a_deleted_run_goes_to_the_bin_with_its_artifacts() -> None:
    """Those that MLflow hands on itself; of an unknown run nothing is asked further."""
    asked: list[tuple[str, str, bytes]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, request.url.path, request.content))
        if request.url.params.get("run_id") == "none":
            return httpx.Response(404, json={})
        info = {"artifact_uri": "mlflow-artifacts:/1/m1/artifacts"}
        return httpx.Response(200, json={"run": {"info": info}})

    runs = MlflowRuns("http://127.0.0.1:5000", transport=httpx.MockTransport(answer))
    runs.delete_run("m1")
    runs.delete_run("none")
    runs.close()
    assert [each[:2] for each in asked] == [
        ("GET", "/api/2.0/mlflow/runs/get"),
        ("POST", "/api/2.0/mlflow/runs/delete"),
        ("DELETE", "/api/2.0/mlflow-artifacts/artifacts/1/m1/artifacts"),
        ("GET", "/api/2.0/mlflow/runs/get"),
    ]
    assert json.loads(asked[1][2]) == {"run_id": "m1"}


def test_what_the_bin_still_holds() -> None:
    """Over pages and folders; of runs that are asked for, and only in MLflow's own store."""
    files = {
        "1/m1/artifacts": [{"path": "a.json", "file_size": "3"}, {"path": "model", "is_dir": True}],
        "1/m1/artifacts/model": [{"path": "final.pth", "file_size": "40"}],
    }
    runs = [
        {"run_id": "m1", "artifact_uri": "mlflow-artifacts:/1/m1/artifacts"},
        {"run_id": "empty", "artifact_uri": "mlflow-artifacts:/1/empty/artifacts"},
        {"run_id": "elsewhere", "artifact_uri": "s3://b/1/elsewhere/artifacts"},
        {"run_id": "others", "artifact_uri": "mlflow-artifacts:/1/others/artifacts"},
    ]

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"files": files.get(request.url.params["path"], [])})
        sent = json.loads(request.content)
        if request.url.path.endswith("/experiments/search"):
            return httpx.Response(200, json={"experiments": [{"experiment_id": "1"}]})
        assert (sent["experiment_ids"], sent["run_view_type"]) == (["1"], "DELETED_ONLY")
        page = int(sent.get("page_token", 0))
        following = {"next_page_token": str(page + 1)} if page + 1 < len(runs) else {}
        return httpx.Response(200, json={"runs": [{"info": runs[page]}], **following})

    mlflow = MlflowRuns("http://127.0.0.1:5000", transport=httpx.MockTransport(answer))
    assert mlflow.binned({"m1", "empty", "elsewhere"}) == {"m1": 43}
    assert mlflow.binned(set()) == {}
    mlflow.close()


@pytest.mark.parametrize("status", ["RUNNING", "SCHEDULED"])
def test_an_open_run_is_closed(status: str) -> None:
    """It gets the status and an end time in milliseconds."""
    server = Server(status)
    close(server)
    assert server.update is not None
    assert (server.update["run_id"], server.update["status"]) == ("m1", "KILLED")
    assert server.update["end_time"] > 10**12


@pytest.mark.parametrize("status", ["FINISHED", "FAILED"])
def test_a_run_that_an_attempt_has_ended_is_given_the_experiments_status(status: str) -> None:
    """It failed, was to be tried again, and was cancelled meanwhile; when it ended stays."""
    server = Server(status)
    close(server)
    assert server.update == {"run_id": "m1", "status": "KILLED", "end_time": ENDED}


@pytest.mark.parametrize("status", ["KILLED", None])
def test_an_ended_or_unknown_run_is_left_alone(status: str | None) -> None:
    """The job closed it itself, or somebody deleted it."""
    server = Server(status)
    close(server)
    assert server.update is None


@pytest.mark.parametrize("code", [200, 401, 500, 503])
def test_a_server_that_is_not_well_is_unreachable(code: int) -> None:
    """Errors and pages that are no JSON mean: try again later."""
    with pytest.raises(BackendUnreachable):
        close(Server("RUNNING", broken=code))


def test_nobody_there() -> None:
    """A refused connection is unreachable, too."""

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    runs = MlflowRuns("http://127.0.0.1:5000", transport=httpx.MockTransport(refuse))
    with pytest.raises(BackendUnreachable, match="refused"):
        runs.close_run("m1", "FAILED")
    runs.close()


def test_an_id_that_can_be_none_is_left_alone() -> None:
    """MLflow refuses it with 400, now and for ever: asking again would keep all others waiting."""
    server = Server("RUNNING", broken=400)
    close(server)
    assert server.update is None


def test_what_mlflow_says_of_runs() -> None:
    """Active, in the bin, or nowhere; all in one request, which names no id that could be none."""
    asked: list[dict[str, Any]] = []

    def search(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        stages = {"a": "active", "d": "deleted"}
        runs = [{"info": {"run_id": each, "lifecycle_stage": stage}} for each, stage in stages.items()]
        return httpx.Response(200, json={"runs": runs})

    runs = MlflowRuns("http://127.0.0.1:5000", transport=httpx.MockTransport(search))
    found = runs.look({"a": "1", "d": "2", "g": "1", "' OR 1": "1"})
    assert found == {"a": RunFact.THERE, "d": RunFact.DELETED, "g": RunFact.GONE}
    assert asked[0]["filter"] == "attributes.run_id IN ('a', 'd', 'g')"
    assert asked[0]["experiment_ids"] == ["1", "2"]
    assert runs.look({}) == {}
    runs.close()


@pytest.mark.parametrize("code", [401, 403])
def test_a_refusal_is_told_from_silence(code: int) -> None:
    """The service has no credentials: what it may not ask, a job may."""
    runs = MlflowRuns(
        "http://127.0.0.1:5000", transport=httpx.MockTransport(lambda request: httpx.Response(code))
    )
    with pytest.raises(AccessRefused, match=str(code)):
        runs.ping()
    runs.close()
