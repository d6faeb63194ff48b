"""One Ray for all sweeps of a module."""

from __future__ import annotations

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


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
