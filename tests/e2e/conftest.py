"""One instance for all end-to-end tests: its start takes half a minute."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import browser  # noqa: F401 - a fixture
from tests.e2e.instance import Instance


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that folder data sets may lie in."""
    return tmp_path_factory.mktemp("data_root")


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> Iterator[Instance]:
    running = Instance(tmp_path_factory.mktemp("instance") / "data", "--data-root", str(data_root))
    try:
        running.start()
        yield running
    finally:
        code = running.stop()
    assert code == 0
