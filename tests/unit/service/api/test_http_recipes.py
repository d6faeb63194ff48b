"""Recipes over HTTP: listed, named in a spec, previewed, refused where they would train on a CPU."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import FakeBackend
from tests.unit.service.api.test_http_create import check_problem, stored
from tests.unit.service.conftest import TestClient
from trainer.spec.recipes import Machines, recipes

ROW = "table3/deeplabv3plus_r50"


@pytest.fixture
def cluster(backend: FakeBackend) -> FakeBackend:
    """A cluster that answers."""
    backend.down = False
    return backend


def errors(answer: Any) -> dict[str, str]:
    return {each["pointer"]: each["got"] for each in check_problem(answer, 422)["errors"]}


def test_the_list(client: TestClient) -> None:
    items = client.get("/recipes").json()["items"]
    assert [item["name"] for item in items] == list(recipes())
    one = client.get(f"/recipes/{ROW}").json()
    assert one == next(item for item in items if item["name"] == ROW)
    assert one["paper"]["baseline"] == {"ss": 43.95, "ms": 44.93}
    assert one["spec"]["schedule"]["iterations"] == 160_000
    check_problem(client.get("/recipes/table3/nothing"), 404)


def test_shipped_models(client: TestClient) -> None:
    """Searched by all words; usable ones first; a limit that cannot be meant is told."""
    found = client.get("/models/shipped", params={"search": "segformer mit-b0 ade20k"}).json()["items"]
    assert [item["name"] for item in found] == ["segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512"]
    assert found[0]["unusable"] is None
    assert len(client.get("/models/shipped", params={"limit": 3}).json()["items"]) == 3
    check_problem(client.get("/models/shipped", params={"limit": 0}), 422)


def test_preview_says_what_is_missing(client: TestClient, cluster: FakeBackend) -> None:
    """The whole spec, the parameters, what was changed, data and weights that are not there."""
    cluster.has = Machines(gpus=4, cpus=32)
    document = {"recipe": ROW, "method": "baseline", "schedule": {"iterations": 2000}}
    answer = client.post("/experiments", json=document, params={"validate_only": True})
    assert answer.status_code == 200, answer.text
    preview = answer.json()
    assert preview["spec"]["resources"] == {"workers": 4, "gpus_per_worker": 1.0, "cpus_per_worker": 5}
    assert [each["text"] for each in preview["overrides"]] == ["iterations 160k → 2k"]
    assert preview["config"] == "deeplabv3plus/deeplabv3plus_r50-d8_4xb4-160k_ade20k-512x512"
    assert preview["parameters"] == recipes()[ROW].parameters
    assert preview["train_seconds"] is None
    assert {each["pointer"] for each in preview["problems"]} >= {"/dataset/root"}
    assert stored(client) == []
    assert "/dataset/root" in errors(client.post("/experiments", json=document))


def test_no_cpu_unasked(client: TestClient, cluster: FakeBackend) -> None:
    """Without GPUs, and where the cluster does not answer."""
    document = {"recipe": ROW, "method": "baseline"}
    assert (
        "the cluster has no GPU"
        in errors(client.post("/experiments", json=document))["/resources/gpus_per_worker"]
    )
    cluster.down = True
    assert "not known" in errors(client.post("/experiments", json=document))["/resources/gpus_per_worker"]
    sweep = {"base": document, "axes": [{"pointer": "/recipe", "grid": [ROW]}]}
    assert "/base/resources/gpus_per_worker" in errors(client.post("/sweeps", json=sweep))


def test_weights_that_are_not_there(client: TestClient, cluster: FakeBackend) -> None:
    """The command that fetches them, and what would train without, both in the answer."""
    cluster.has = Machines(gpus=1, cpus=8)
    answer = client.post(
        "/experiments", json={"recipe": ROW, "method": "baseline", "dataset": "digit_scenes"}
    )
    (problem,) = [each for each in check_problem(answer, 422)["errors"] if each["pointer"] == "/weights"]
    assert "rebalance weights fetch resnet50_v1c" in problem["allowed"]
    assert '"none"' in problem["allowed"]
