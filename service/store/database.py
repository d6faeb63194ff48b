"""The connection to the database: transactions, leadership, and its errors as ours. No query of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import Connection, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service.store import engine
from service.store.commits.shared import SharedCommit
from service.store.leadership import Leadership, leadership_of
from service.store.records import StoreUnavailable

# Changes nothing, and is written all the same: both databases put the row's page or version down again.
_WRITTEN_AGAIN = text("UPDATE alembic_version SET version_num = version_num")


class Lead:
    """Whether we lead, and with which number: it grows with each service that does."""

    def __init__(self, leadership: Leadership, mapped: Callable[[], AbstractContextManager[None]]) -> None:
        self._leadership = leadership
        self._mapped = mapped

    def __call__(self) -> bool:
        with self._mapped():
            return self._leadership.acquire()

    @property
    def number(self) -> int | None:
        return self._leadership.number


class Database:
    """SQLite or Postgres. Any thread may use it."""

    def __init__(self, url: str) -> None:
        self._engine = engine.make_engine(url)
        writer = engine.writing(self._engine)
        on_sqlite = self._engine.dialect.name == "sqlite"
        self._transaction = SharedCommit(writer).transaction if on_sqlite else writer.begin
        self._reader = engine.reading(self._engine)
        self._own = threading.local()
        self._refusal: str | None = None

    @property
    def refusal(self) -> str | None:
        """Why it took no change the last time it was asked to: full, locked, read-only; None where it did."""
        return self._refusal

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def leadership(self) -> Iterator[Lead]:
        """A question to repeat: are we the one reconciler of this database? Given up with the block.

        What this thread writes within the block counts only while nobody else has led since.
        """
        lead = leadership_of(self._engine)
        self._own.lead = lead
        try:
            yield Lead(lead, self._mapped_errors)
        finally:
            self._own.lead = None
            lead.release()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._mapped_errors(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction, taken back whole where the block raises; durable when it returns."""
        lead: Leadership | None = getattr(self._own, "lead", None)
        with self._changing() as connection:
            if lead is not None:
                lead.fence(connection)
            yield connection

    def ask_again(self) -> None:
        """After a refusal: returns if changes are taken again, by writing something that changes nothing.

        Raises:
            StoreUnavailable: they are not; with the database's own words.
        """
        if self._refusal is not None:
            with self._changing() as connection:
                connection.execute(_WRITTEN_AGAIN)

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        """A transaction that writes; how it ends is remembered as `refusal`."""
        try:
            with self._mapped_errors(), self._transaction() as connection:
                yield connection
            self._refusal = None
        except StoreUnavailable as error:
            if isinstance(error.__cause__, DBAPIError):  # else it is ours: another one leads by now
                self._refusal = str(error)
            raise

    @contextmanager
    def _mapped_errors(self) -> Iterator[None]:
        try:
            yield
        except (IntegrityError, DataError):
            raise  # of these rows: the database is well
        except DBAPIError as error:
            raise StoreUnavailable(engine.words_of(error, self._engine.url)) from error
        except PoolTimeout as error:
            raise StoreUnavailable(str(error)) from error
