"""What holds for SQLite alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import Engine, event

from service.shared.settings import Settings
from service.store.records import Cursor, Filters
from tests.unit.service.conftest import START, World


@pytest.fixture
def database() -> str:
    """Only this one."""
    return "sqlite"


def test_sqlite_file_is_in_wal_mode(migrated: Settings) -> None:
    """Readers and the writer do not shut each other out."""
    connection = sqlite3.connect(migrated.data_dir / "rebalance.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def _plan(world: World, ask: Callable[[], object]) -> str:
    """How SQLite goes about the last thing that `ask` asks it."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, given: Any, *_rest: object) -> None:
        asked.append((statement, given))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        ask()
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    statement, given = asked[-1]
    with closing(sqlite3.connect(world.settings.data_dir / "rebalance.db")) as connection:
        return "; ".join(row[-1] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", given))


def test_a_page_begins_at_its_cursor(world: World) -> None:
    """However far back it is, nothing before it is read, and nothing is sorted."""
    cursor = Cursor(START, "e1").encode()
    plan = _plan(world, lambda: world.store.page(Filters(), cursor=cursor, limit=50))
    assert plan.startswith("SEARCH experiments USING INDEX ix_experiments_created_at_id")
    assert ";" not in plan


def test_what_is_due_at_mlflow_is_not_looked_for_among_all(world: World) -> None:
    """It is asked in each pass: an index has those few alone, in their order."""
    plan = _plan(world, lambda: world.store.with_mlflow_due(limit=50))
    assert plan == "SCAN experiments USING INDEX ix_experiments_due"
