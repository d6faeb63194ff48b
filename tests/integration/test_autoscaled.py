"""A cluster that has no worker yet: its autoscaler brings them for a job that fits the declared maximum."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.contract.test_backend import free_ports
from tests.data_factories import spec_document
from tests.paths import ROOT
from trainer.base.ends import ExitCode
from trainer.storage.layout import Storage

pytestmark = pytest.mark.integration

LIMIT_SECONDS = 120
_PORTS = (
    "port",
    "dashboard-port",
    "ray-client-server-port",
    "dashboard-agent-listen-port",
    "metrics-export-port",
    "dashboard-agent-grpc-port",
    "runtime-env-agent-port",
)
_ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_FAKE_CLUSTER": "1",
    "AUTOSCALER_UPDATE_INTERVAL_S": "1",
    "OMP_NUM_THREADS": "1",
}
# Ray's own test cluster, ray.cluster_utils.AutoscalingCluster, begins with `ray stop --force`, which ends
# every Ray of this machine. Its provider, of nodes that are processes, does not.
_PROVIDER = {
    "type": "fake_multinode",
    "use_node_id_as_ip": True,
    "disable_node_updaters": True,
    "disable_launch_config_check": True,
}
_COMMANDS = ("initialization", "setup", "head_setup", "worker_setup", "head_start_ray", "worker_start_ray")
_LISTS = (
    *(f"{name}_commands" for name in _COMMANDS),
    "cluster_synced_files",
    "rsync_exclude",
    "rsync_filter",
)


def autoscaling(gcs: str) -> dict[str, object]:
    """Up to two nodes of one CPU each, beside a head that has none."""
    head = {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0}
    worker = {"resources": {"CPU": 1}, "node_config": {}, "min_workers": 0, "max_workers": 2}
    return {
        "cluster_name": "fake",
        "max_workers": 2,
        "provider": {**_PROVIDER, "gcs_address": gcs},
        "available_node_types": {"ray.head.default": head, "worker": worker},
        "head_node_type": "ray.head.default",
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": 5,
        "file_mounts_sync_continuously": False,
        **{name: {} for name in ("auth", "docker", "file_mounts")},
        **{name: [] for name in _LISTS},
    }


@pytest.fixture(scope="module")
def growing() -> Iterator[str]:
    """The address of a Ray whose head has no CPU, and which has no other node yet."""
    ports = free_ports(len(_PORTS))
    address = f"127.0.0.1:{ports[0]}"
    with tempfile.TemporaryDirectory(prefix="rra", dir="/tmp") as directory:
        config = Path(directory, "autoscaling.yaml")
        config.write_text(json.dumps(autoscaling(address)))
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus=0"]
        command += ["--num-gpus=0", f"--temp-dir={directory}/ray", "--node-ip-address=127.0.0.1"]
        command += [f"--autoscaling-config={config}", "--object-store-memory=80000000"]
        command += [f"--{name}={port}" for name, port in zip(_PORTS, ports, strict=True)]
        with Path(directory, "out.txt").open("wb") as out:
            head = subprocess.Popen(
                command,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | _ENVIRONMENT,
            )
        try:
            yield address
        finally:
            family = [psutil.Process(head.pid), *psutil.Process(head.pid).children(recursive=True)]
            os.killpg(head.pid, signal.SIGTERM)
            _, alive = psutil.wait_procs(family, timeout=10)
            for process in alive:
                process.kill()
            head.wait(10)


def train(
    directory: Path, cluster: str, most: str, **resources: int
) -> tuple[subprocess.CompletedProcess[str], Storage]:
    """The job by hand, as the service would start it on that cluster."""
    schedule = {"iterations": 2, "batch_size": 4}
    spec = directory / "spec.json"
    spec.write_text(json.dumps(spec_document(schedule=schedule, resources=resources)))
    command = [sys.executable, "-m", "trainer.job", "--spec", str(spec), "--experiment", "e1"]
    command += ["--storage", str(directory / "storage"), "--max-cluster", most]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | _ENVIRONMENT | {"RAY_ADDRESS": cluster},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    return done, Storage.at(directory / "storage")


def test_it_waits_for_nodes_and_says_so(tmp_path: Path, growing: str) -> None:
    """With no CPU in the cluster the job asks for nodes, says why it waits, and trains when they came."""
    done, storage = train(tmp_path, growing, "cpus=2", workers=1)
    assert done.returncode == 0, done.stdout + done.stderr
    log = storage.attempt("e1", 1).log.local.read_text()
    assert "waiting for nodes: reading the data asks for 1 CPU, the cluster has 0" in log
    assert "nodes: no longer waited for, after" in log


def test_beyond_the_maximum_it_is_refused(tmp_path: Path) -> None:
    """At once, with the field and the maximum, no cluster asked: waiting would help nobody."""
    done, _ = train(tmp_path, "127.0.0.1:1", "cpus=2", workers=4)
    assert done.returncode == ExitCode.BAD_INPUT
    assert "/resources/cpus_per_worker: 4 worker(s) take 4 CPU; allowed: at most 2" in done.stderr
