"""The migrations and the tables say the same."""

from __future__ import annotations

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from service.migrations import alembic_config, migrate
from service.settings import Settings
from service.tables import make_engine, metadata


def test_autogenerate_finds_nothing_to_do(settings: Settings) -> None:
    """After all migrations the schema is that of tables.py: types, keys and indexes included."""
    migrate(settings)
    engine = make_engine(settings.database)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_migrating_twice_changes_nothing(settings: Settings) -> None:
    """`serve` migrates at every start."""
    migrate(settings)
    migrate(settings)


def test_downgrade_takes_everything_back(settings: Settings) -> None:
    """The way down leaves no table of ours."""
    migrate(settings)
    command.downgrade(alembic_config(settings.database), "base")
    engine = make_engine(settings.database)
    assert set(inspect(engine).get_table_names()) <= {"alembic_version"}
    engine.dispose()


def test_url_with_percent_signs(settings: Settings) -> None:
    """A directory or password with % in it is not taken for an interpolation."""
    odd = Settings(data_dir=settings.data_dir / "50%d")
    migrate(odd)
    assert (odd.data_dir / "rebalance.db").exists()
