"""What holds for SQLite alone."""

from __future__ import annotations

import sqlite3

import pytest

from service.shared.settings import Settings


@pytest.fixture
def database() -> str:
    """Only this one."""
    return "sqlite"


def test_sqlite_file_is_in_wal_mode(migrated: Settings) -> None:
    """Readers and the writer do not shut each other out."""
    connection = sqlite3.connect(migrated.data_dir / "rebalance.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
