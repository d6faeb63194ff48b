"""A node of the cluster goes away under a trial, and another takes its place."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.results.trial_progress import lost_attempts
from tests.integration.sweep_process import Sweep, document, ray_process, until

pytestmark = pytest.mark.integration

# A line on stdin kills the node where trials run, with all its processes, and starts another.
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


@pytest.fixture
def nodes() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of a Ray whose head has no CPU for trials, and the process that replaces its one node."""
    with ray_process(_NODES) as found:
        yield found


def test_a_trial_goes_on_after_its_node(tmp_path: Path, nodes: tuple[str, subprocess.Popen[str]]) -> None:
    """From its checkpoint, on the new node; the loss is told and does not count."""
    address, process = nodes
    sweep = Sweep(tmp_path, document(iterations=60), address)
    driver = sweep.start()
    until(lambda: sweep.iteration(0) > 12, "trial 0 has a checkpoint")
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert sweep.finish(driver).trials.completed == 1
    lost = sweep.report(0)
    assert lost is not None
    assert lost.error is not None
    assert lost.error.type == "NodeLost"
    assert lost_attempts(sweep.storage, sweep.id(0)) == 0
    assert "resumed from iteration" in sweep.messages(0, 2)[0]
