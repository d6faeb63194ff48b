"""One Ray for all sweeps of a module."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.integration.sweep_process import ENVIRONMENT

_CLUSTER = """
import ray, sys
ray.init(address="local", num_cpus=2, logging_level="warning", include_dashboard=False)
print("at", ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def local_ray() -> Iterator[tuple[str, psutil.Process]]:
    """A Ray with two CPUs, which outlives the drivers that are killed: address, and its first process."""
    with subprocess.Popen(
        [sys.executable, "-c", _CLUSTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | ENVIRONMENT,
    ) as process:
        assert process.stdout is not None
        address = next(line.split()[1] for line in process.stdout if line.startswith("at "))
        yield address, psutil.Process(process.pid)
        process.communicate("")


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
