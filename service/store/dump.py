"""Every row of the database as JSON lines, and back into an empty one, of either kind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Connection,
    DateTime,
    Engine,
    MetaData,
    Table,
    func,
    insert,
    inspect,
    null,
    select,
    text,
)

from service.store.tables import leases, metadata

Row = tuple[str, dict[str, Any]]  # the table's name, and its columns

_VERSION_TABLE = "alembic_version"
_AT_ONCE = 500
_CHARACTERS_AT_ONCE = 16_000_000  # five hundred rows may be a gigabyte
# In an order in which each row's owner is there before it; who leads is nothing to keep.
TABLES = tuple(table for table in metadata.sorted_tables if table is not leases)


def dumped(engine: Engine) -> Iterator[Row]:
    """All rows, as they stood at one moment. The database has this version's schema."""
    level = "SERIALIZABLE" if engine.dialect.name == "sqlite" else "REPEATABLE READ"
    with engine.connect().execution_options(isolation_level=level) as connection, connection.begin():
        for table in TABLES:
            rows = connection.execution_options(yield_per=_AT_ONCE).execute(select(table))
            for row in rows.mappings():
                yield table.name, {name: _plain(value) for name, value in row.items()}


def load(connection: Connection, rows: Iterable[Row]) -> dict[str, int]:
    """Adds rows to the tables of their names, as these are now; how many of each.

    Raises:
        ValueError: there is no such table or column.
    """
    tables = _tables_in(connection)
    counts: dict[str, int] = {}
    batch: list[dict[str, Any]] = []
    current, held = "", 0

    def flush() -> None:
        nonlocal held
        held = 0
        if batch:
            connection.execute(insert(tables[current]), batch)
            counts[current] = counts.get(current, 0) + len(batch)
            batch.clear()

    for name, values in rows:
        if name not in tables:
            raise ValueError(f"there is no table {name!r}")
        if name != current or len(batch) == _AT_ONCE or held > _CHARACTERS_AT_ONCE:
            flush()
            current = name
        held += sum(len(value) for value in values.values() if isinstance(value, str))
        batch.append(_converted(tables[name], values))
    flush()
    _go_on_counting(connection, tables, counts)
    return counts


def is_empty(connection: Connection) -> bool:
    """Whether no table of ours has a row; also where there are no tables."""
    found = set(inspect(connection).get_table_names())
    return not any(
        connection.execute(select(text("1")).select_from(table).limit(1)).first()
        for table in TABLES
        if table.name in found
    )


def _tables_in(connection: Connection) -> dict[str, Table]:
    found = MetaData()
    found.reflect(connection)
    return {name: table for name, table in found.tables.items() if name != _VERSION_TABLE}


def _plain(value: Any) -> Any:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def _converted(table: Table, values: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(values) - set(table.c.keys()))
    if unknown:
        raise ValueError(f"table {table.name} has no column {', '.join(unknown)}")
    return {name: _converter(table.c[name].type)(value) for name, value in values.items()}


def _converter(kind: object) -> Callable[[Any], Any]:
    """From what JSON has to what the column takes."""
    if isinstance(kind, DateTime):
        return lambda value: None if value is None else datetime.fromisoformat(value)
    if isinstance(kind, Boolean):
        return lambda value: None if value is None else bool(value)
    if isinstance(kind, JSON):
        return lambda value: null() if value is None else value  # None would be JSON's null, not SQL's
    return lambda value: value


def _go_on_counting(connection: Connection, tables: dict[str, Table], counts: dict[str, int]) -> None:
    """Postgres' sequences go on behind the numbers that came with the rows; SQLite's do by themselves."""
    if connection.dialect.name == "sqlite":
        return
    for name in counts:
        numbered = tables[name].autoincrement_column
        if numbered is not None:
            sequence = func.pg_get_serial_sequence(name, numbered.name)
            connection.execute(select(func.setval(sequence, select(func.max(numbered)).scalar_subquery())))


def as_line(row: Row) -> bytes:
    """One line of JSON."""
    return (json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n").encode(
        "utf-8", "surrogatepass"
    )
