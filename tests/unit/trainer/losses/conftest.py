"""One thread for all tests of the losses: sums come out the same on every machine of a kind."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _one_thread(one_thread: None) -> None:
    """For all of them."""
