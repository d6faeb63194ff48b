"""deploy/smoke.sh from its first step to its last: the embedded service, and one that asks for tokens."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.instance import RUN_SECONDS, Instance
from tests.paths import ROOT

pytestmark = pytest.mark.e2e

STEPS = ["ready", "post", "follow", "report", "mlflow", "cancel", "sweep", "prediction"]


def smoke(instance: Instance, *arguments: str, token: str = "") -> tuple[str, dict[str, Any]]:
    """What it said and what it measured; fails where it does."""
    done = subprocess.run(
        [ROOT / "deploy" / "smoke.sh", instance.endpoints.api, "--limit", str(int(RUN_SECONDS)), *arguments],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHON": sys.executable, "REBALANCE_TOKEN": token},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr, json.loads(done.stdout)


@pytest.fixture(scope="module")
def closed(instance: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Instance, str]]:
    """A second service on the same Ray and MLflow, with a database of its own; and a user's token."""
    data_dir = tmp_path_factory.mktemp("closed") / "data"
    command = "token create smoke --scope user --json --data-dir"
    made = subprocess.run(
        [sys.executable, "-m", "service.cli", *command.split(), str(data_dir)],
        capture_output=True,
        text=True,
        check=True,
    )
    ends, ray = instance.endpoints, instance.ray_environment()
    running = Instance(
        data_dir,
        *("--require-token", "--ray-address", ends.ray, "--mlflow-uri", ends.mlflow),
        environment={name: ray[name] for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH")}
        | {"REBALANCE_JOB_PYTHON": sys.executable},
    )
    try:
        running.start()
        yield running, json.loads(made.stdout)["token"]
    finally:
        code = running.stop()
    assert code == 0


def test_the_embedded_service_passes(instance: Instance) -> None:
    """Every step, each timed; MLflow is asked where it is, not only by the service's word."""
    told, measured = smoke(instance, "--mlflow", instance.endpoints.mlflow)
    assert measured["ok"] is True
    assert list(measured["seconds"]) == STEPS
    assert f"is finished at {instance.endpoints.mlflow}" in told
    with instance.client() as client:
        begun = list(client.experiments(tag=["smoke:yes"]))
    assert len(begun) == 4  # one, one that was cancelled, two trials
    assert all(each.state.ended for each in begun)


def test_a_service_with_tokens_passes(closed: tuple[Instance, str]) -> None:
    """A user's token is enough, and is not repeated."""
    service, token = closed
    told, measured = smoke(service, token=token)
    assert measured["ok"] is True
    assert token not in told + json.dumps(measured)
