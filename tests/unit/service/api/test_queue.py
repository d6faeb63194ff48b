"""/queue and /quotas: what waits, in order, with true reasons; who holds what of what they may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from service.api.app import create_app
from service.reconcile.cluster import BackendUnreachable
from service.scheduling.policy import PolicyError
from service.shared.settings import Settings
from tests.data_factories import spec_document
from tests.fakes import FakeBackend
from tests.unit.service.conftest import TestClient, bearer, make_token
from trainer.spec.recipes import Machines

RULES = """
[users.a-user]
gpus = 2
[projects.roads]
weight = 2
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "policy.toml"
    found.write_text(RULES)
    return found


@pytest.fixture
def closed(migrated: Settings, file: Path) -> Settings:
    """As a service that others reach, with rules."""
    return migrated.model_copy(update={"host": "0.0.0.0", "policy": file, "max_running": 10})


class Busy(FakeBackend):
    """It tells what it has, and takes no job: so what is posted stays where it is."""

    def submit(self, job_id: str, command: Sequence[str], metadata: Mapping[str, str]) -> None:
        raise BackendUnreachable("busy")


@pytest.fixture
def backend() -> FakeBackend:
    fake = Busy()
    fake.has = Machines(gpus=8, cpus=32)
    return fake


@pytest.fixture
def app(closed: Settings, backend: FakeBackend) -> FastAPI:
    return create_app(closed, backend)


def spec(gpus: int, **scheduling: Any) -> dict[str, Any]:
    resources = {"workers": gpus, "gpus_per_worker": 1, "cpus_per_worker": 1}
    schedule = {"batch_size": 8 * gpus}
    return {**spec_document(), "resources": resources, "schedule": schedule, "scheduling": scheduling}


@pytest.fixture
def user(client: TestClient, closed: Settings) -> dict[str, str]:
    return bearer(make_token(closed, "user").token)


def test_what_waits_in_order_and_why(client: TestClient, user: dict[str, str]) -> None:
    """What was posted is the user's whose token it came with; the queue says of each when it may begin."""
    posted = [
        client.post("/experiments", json=document, headers=user).json()
        for document in (spec(4, priority="low"), spec(1, project="roads"), spec(1, priority=7))
    ]
    assert posted[1]["queue"]["owner"] == "a-user"
    assert posted[1]["queue"]["project"] == "roads"
    answer = client.get("/queue", headers=user)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert [each["id"] for each in found["items"]] == [posted[n]["id"] for n in (2, 1, 0)]
    assert [each["position"] for each in found["items"]] == [1, 2, 3]
    assert [each["waiting"]["code"] for each in found["items"]] == ["next", "next", "quota"]
    last = found["items"][2]
    assert last["waiting"]["reason"] == "may come to hold 4 GPUs, and user a-user may have 2, its quota"
    assert (last["user"], last["priority"], last["asks"]["gpus"]) == ("a-user", -50, 4)
    assert (found["waiting"], found["running"]) == (3, 0)
    assert found["capacity"] == {"gpus": 8, "cpus": 32, "places": 10}
    assert found["free"] == found["capacity"]
    assert len(client.get("/queue?limit=1", headers=user).json()["items"]) == 1


def test_quotas_are_for_administrators(client: TestClient, closed: Settings, user: dict[str, str]) -> None:
    """What each account holds of what it may; those with a rule are there before they have anything."""
    client.post("/experiments", json=spec(1), headers=user)
    assert client.get("/quotas", headers=user).status_code == 403
    found = client.get("/quotas", headers=bearer(make_token(closed, "admin").token)).json()
    assert [(each["kind"], each["name"]) for each in found["items"]] == [
        ("user", "a-user"),
        ("project", "roads"),
    ]
    mine, roads = found["items"]
    assert mine["quota"] == {"gpus": 2, "cpus": None, "places": None}
    assert (mine["running"], mine["waiting"], roads["weight"]) == (0, 1, 2)
    assert found["counts_capacity"] is True


def test_the_page_has_the_same(client: TestClient, closed: Settings, user: dict[str, str]) -> None:
    """Who waits and why, a hostile name as text; what accounts hold for administrators alone."""
    document = spec(4) | {"name": "<script>alert(1)</script>"}
    posted = client.post("/experiments", json=document, headers=user).json()["id"]
    shown = client.get("/ui/queue", headers=user)
    assert shown.status_code == 200
    assert f"/ui/experiments/{posted}" in shown.text
    assert "quota" in shown.text
    assert "<script>alert" not in shown.text
    assert "Users and projects" not in shown.text
    admin = bearer(make_token(closed, "admin").token)
    assert "Users and projects" in client.get("/ui/queue", headers=admin).text


def test_an_unreachable_cluster_is_told(
    client: TestClient, backend: FakeBackend, user: dict[str, str]
) -> None:
    """The queue is there all the same."""
    client.post("/experiments", json=spec(1), headers=user)
    backend.down = True
    found = client.get("/queue", headers=user).json()
    assert "Ray cannot be reached" in found["trouble"]
    assert found["waiting"] == 1


def test_a_mistake_in_the_file_is_told_and_does_not_count(
    client: TestClient, file: Path, user: dict[str, str]
) -> None:
    """The rules of before hold; /readyz names the place."""
    file.write_text("[users.a-user]\ngpus = -1")
    ready = client.get("/readyz", headers=user).json()
    assert ready["status"] == "degraded"
    assert "/users/a-user/gpus: -1 is below the minimum" in ready["checks"]["policy"]
    assert "/users/a-user/gpus" in client.get("/queue", headers=user).json()["trouble"]


def test_a_service_does_not_start_on_a_mistake(closed: Settings, file: Path) -> None:
    """At the start somebody is there to mend it."""
    file.write_text("[user]\nmemory = 3")
    with pytest.raises(PolicyError, match=r"REBALANCE_POLICY: .*memory"):
        create_app(closed, FakeBackend())
