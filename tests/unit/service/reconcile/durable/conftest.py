"""What was accepted ends alike on both databases."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str:
    """Which database the test stores in."""
    return str(request.param)
