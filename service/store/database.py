"""The connection to the database: transactions, leadership, and its errors as ours. No query of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service.store import tables
from service.store.records import StoreUnavailable


class Database:
    """SQLite or Postgres. Any thread may use it."""

    def __init__(self, url: str) -> None:
        self._engine = tables.make_engine(url)
        self._writer = tables.writing(self._engine)

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def leadership(self) -> Iterator[Callable[[], bool]]:
        """A question to repeat: are we the one reconciler of this database? Given up with the block."""
        lead = tables.Leadership(self._engine)

        def ours() -> bool:
            with self._mapped_errors():
                return lead.acquire()

        try:
            yield ours
        finally:
            lead.release()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._mapped_errors(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction, given back whole where the block raises."""
        with self._mapped_errors(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def _mapped_errors(self) -> Iterator[None]:
        try:
            yield
        except (IntegrityError, DataError):
            raise  # of these rows: the database is well
        except DBAPIError as error:
            raise StoreUnavailable(tables.words_of(error, self._engine.url)) from error
        except PoolTimeout as error:
            raise StoreUnavailable(str(error)) from error
