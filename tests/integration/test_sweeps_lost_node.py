"""A node of the cluster goes away under a trial, and another takes its place."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sweeps.results.trial_progress import lost_attempts
from tests.integration.sweep_process import Sweep, document, until

pytestmark = pytest.mark.integration


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
