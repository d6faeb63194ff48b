"""A database without room: the service says so in the words of everything else."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import OperationalError

from service.migrations import migrate
from service.shared.settings import Settings
from service.store.engine import make_engine, words_of


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    """In SQLite's words of today: its own limit of pages stands for the disk's."""
    settings = Settings(data_dir=tmp_path)
    migrate(settings)
    engine = make_engine(settings.database)
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        with pytest.raises(OperationalError) as caught:
            connection.execute(text("CREATE TABLE more AS SELECT hex(zeroblob(100000)) AS a"))
    engine.dispose()
    assert words_of(caught.value, engine.url).startswith(f"no space left in {settings.data_dir} (")


@pytest.mark.parametrize(
    ("words", "url", "told"),
    [
        ("database or disk is full", "sqlite:////a/b.db", "no space left in /a (database or disk is full)"),
        ("database is locked", "sqlite:////a/b.db", "database is locked"),
        ("disk I/O error", "sqlite:////nowhere/b.db", "disk I/O error"),
        ("No space left on device", "postgresql://h/d", "No space left on device"),
    ],
)
def test_words_of(words: str, url: str, told: str) -> None:
    """Only what says that the disk is full is said so, and only of a file."""
    error = OperationalError("INSERT", {}, sqlite3.OperationalError(words))
    assert words_of(error, make_url(url)) == told
