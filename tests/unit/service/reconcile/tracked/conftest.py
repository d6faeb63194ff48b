"""A service with an MLflow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from service.shared.settings import Settings
from service.store.experiments import Store
from tests.unit.service.conftest import World


@pytest.fixture
def world(migrated: Settings) -> Iterator[World]:
    """A service with an MLflow."""
    settings = migrated.model_copy(update={"mlflow_uri": "http://mlflow:5000"})
    store = Store(settings.database)
    yield World(settings=settings, store=store)
    store.close()
