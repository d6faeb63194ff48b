"""What the tests of follow-ups share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.unit.trainer.followups.trained import trained, write_data
from trainer.plan import Plan


@pytest.fixture(scope="package")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Plan, Plan]]:
    """Two experiments in one storage that differ by their seed."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("followups")
    root = write_data(place / "blocks")
    yield trained(place / "storage", root, "e1"), trained(place / "storage", root, "e2", seed=1)
    torch.set_num_threads(threads)


@pytest.fixture(scope="package")
def final(plans: tuple[Plan, Plan]) -> Path:
    """The first one's checkpoint to deploy."""
    return plans[0].layout.file(plans[0].layout.final_checkpoint("e1")).local
