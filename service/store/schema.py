"""Which schema a database has, and what is to be done where it is not this version's."""

from __future__ import annotations

from sqlalchemy import Connection, column, inspect, select, table

from service.store.records import SchemaRefused
from service.store.tables import SCHEMA

_VERSION = table("alembic_version", column("version_num"))  # alembic's own


def schema_in(connection: Connection) -> str | None:
    """The revision that the database was migrated to; None where it never was."""
    if not inspect(connection).has_table(_VERSION.name):
        return None
    found: str | None = connection.scalar(select(_VERSION.c.version_num))
    return found


def refuse_older(found: str | None) -> None:
    """Raises SchemaRefused where tables or columns are missing; revisions are in the order of their text."""
    if found is None:
        raise SchemaRefused("the database has no tables yet; run `rebalance migrate`")
    if found < SCHEMA:
        raise SchemaRefused(
            f"the database has schema {found}, and this version needs {SCHEMA}; run `rebalance migrate`"
        )


def refuse_newer(found: str | None) -> None:
    """Raises SchemaRefused where a later version has migrated the database."""
    if found is not None and found > SCHEMA:
        raise SchemaRefused(
            f"the database has schema {found}, and this version knows those up to {SCHEMA}; "
            "run the version that migrated it, or restore a backup from before"
        )
