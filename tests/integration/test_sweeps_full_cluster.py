"""More work than fits: eight trials of two workers each on a Ray with two CPUs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.sweep_process import Sweep, document

pytestmark = pytest.mark.integration


def test_eight_trials_of_two_workers_on_two_cpus(tmp_path: Path, cluster: str) -> None:
    """One runs at a time, none holds what another needs, and all complete at their first attempt."""
    base = {"resources": {"workers": 2}}
    sweep = Sweep(tmp_path, document(iterations=1, base=base, seeds=list(range(8))), cluster)
    assert sweep.run().trials.completed == 8
    assert all(sweep.storage.newest_attempt(sweep.id(number)) == 1 for number in range(8))
    assert sweep.trials() == [sweep.id(number) for number in range(8)]
