"""Databases to measure on: SQLite's file, and a private Postgres that waits for its disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.postgres import DURABLE, NoPostgres, Server, find_programs


@dataclass(frozen=True)
class Database:
    """One of them: its URL, and what an operator has done by hand or by autovacuum after much was stored."""

    url: str
    settle: Callable[[], object] = lambda: None


Make = Callable[[str, Path], Database]  # of a name, in a directory


def sqlite(name: str, directory: Path) -> Database:
    """A file in `directory`, where `rebalance serve` has it."""
    del name
    return Database(f"sqlite:///{directory}/rebalance.db")


@contextmanager
def postgres() -> Iterator[Make | None]:
    """Makes databases of a server that lives with the block; None where there is no Postgres."""
    try:
        server = Server(find_programs(), configuration=DURABLE)
    except NoPostgres:
        yield None
        return

    def make(name: str, directory: Path) -> Database:
        del directory
        return Database(server.create(name), lambda: server.run("VACUUM ANALYZE", database=name))

    with closing(server):
        yield make
