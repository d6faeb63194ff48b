"""Ray for the tests of a module."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.integration.sweep_process import ray_process

_CLUSTER = """
import ray, sys
ray.init(address="local", num_cpus=2, logging_level="warning", include_dashboard=False)
print("at", ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
"""

# A line on stdin kills the node where training runs, with all its processes, and starts another.
_NODES = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
node = cluster.add_node(num_cpus=1)
print("at", cluster.address, flush=True)
for _ in sys.stdin:
    cluster.remove_node(node, allow_graceful=False)
    node = cluster.add_node(num_cpus=1)
cluster.shutdown()
"""


@pytest.fixture(scope="module")
def local_ray() -> Iterator[tuple[str, psutil.Process]]:
    """A Ray with two CPUs, which outlives the drivers that are killed: address, and its first process."""
    with ray_process(_CLUSTER) as (address, process):
        yield address, psutil.Process(process.pid)


@pytest.fixture(scope="module")
def cluster(local_ray: tuple[str, psutil.Process]) -> str:
    """The address of that Ray."""
    return local_ray[0]


@pytest.fixture(scope="module")
def warm_actors(local_ray: tuple[str, psutil.Process]) -> Callable[[], list[psutil.Process]]:
    """The processes in it that are made for trials; those of others on this machine are none of ours."""

    def found() -> list[psutil.Process]:
        return [one for one in local_ray[1].children(recursive=True) if "ray::WarmWorker" in _title(one)]

    return found


@pytest.fixture
def nodes() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of a Ray whose head has no CPU for training, and the process that replaces its one node."""
    with ray_process(_NODES) as found:
        yield found


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
