"""A database that answers and takes no changes, as one that is full, locked or read-only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Dialect, Engine, event


@dataclass
class Switch:
    """Whether changes are refused from the next transaction on."""

    refused: bool = True


@contextmanager
def no_changes() -> Iterator[Switch]:
    """Transactions of this process are read-only, on either database, until the switch says otherwise."""
    switch = Switch()

    def begin(connection: Connection) -> None:
        if connection.dialect.name == "sqlite":  # where a connection of the pool keeps it
            connection.exec_driver_sql(f"PRAGMA query_only={switch.refused:d}")
        elif switch.refused:
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")

    event.listen(Engine, "begin", begin)
    try:
        yield switch
    finally:
        event.remove(Engine, "begin", begin)


@contextmanager
def opened_read_only() -> Iterator[None]:
    """Connections made within the block can only read, and stay so: a file's mode, or a server's default."""

    def connect(dialect: Dialect, _record: object, given: list[Any], named: dict[str, Any]) -> None:
        if dialect.name == "sqlite":
            given[0], named["uri"] = f"file:{given[0]}?mode=ro", True
        else:
            named["options"] = f"{named['options']} -c default_transaction_read_only=on"

    event.listen(Engine, "do_connect", connect)
    try:
        yield
    finally:
        event.remove(Engine, "do_connect", connect)
