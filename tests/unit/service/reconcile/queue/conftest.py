"""What the queue does with rows runs on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.shared.settings import Settings
from service.store.experiments import Store
from tests.unit.service.conftest import World
from trainer.spec.recipes import Machines


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str:
    """Which database the test stores in."""
    return str(request.param)


@pytest.fixture
def lab(migrated: Settings, tmp_path: Path) -> Iterator[Callable[..., World]]:
    """A service with a file of rules, on a cluster of 8 GPUs and 32 CPUs."""
    opened: list[Store] = []

    def make(rules: str = "", **changes: object) -> World:
        file = tmp_path / "policy.toml"
        file.write_text(rules)
        store = Store(migrated.database)
        opened.append(store)
        settings = migrated.model_copy(update={"policy": file, "max_running": 100, **changes})
        world = World(settings, store)
        world.backend.has = Machines(gpus=8, cpus=32)
        return world

    yield make
    for store in opened:
        store.close()
