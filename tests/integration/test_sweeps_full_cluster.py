"""More work than fits: four trials of two workers each on a Ray with two CPUs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.sweep_process import Sweep, document

pytestmark = pytest.mark.integration


def test_four_trials_of_two_workers_on_two_cpus(tmp_path: Path, cluster: str) -> None:
    """One runs at a time, none holds what another needs, and all complete at their first attempt."""
    base = {"resources": {"workers": 2}}
    sweep = Sweep(tmp_path, document(iterations=1, base=base, seeds=list(range(4))), cluster)
    assert sweep.run().trials.completed == 4
    assert all(sweep.storage.newest_attempt(sweep.id(number)) == 1 for number in range(4))
    assert sweep.trials() == [sweep.id(number) for number in range(4)]
