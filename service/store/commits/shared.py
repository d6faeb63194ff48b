"""One commit for all who write to SQLite at the same time: its disk is waited for once, not by each in turn.

SQLite has one writer at a time, and a commit returns when the disk has it (0.3 to 4 ms where we measured).
Threads that come while another one writes or commits go into one transaction together, each in a savepoint of
its own, and each returns once that transaction is committed. Postgres does the same by itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

_MOST = 64  # members of one transaction: those before must not keep anybody waiting for long
_LOOK_AGAIN_SECONDS = 0.5


class _Batch:
    """An open transaction, and how it ended."""

    def __init__(self, engine: Engine) -> None:
        self.connection = engine.connect()
        self.members = 0
        self.torn = False  # holds a part of what somebody wrote, which could not be taken back
        self.ended = threading.Event()
        self.error: BaseException | None = None
        try:
            self.connection.begin()
        except BaseException:
            self.connection.close()
            raise

    @property
    def given_up(self) -> bool:
        """Whether nothing of it is to stay; SQLite itself rolls all back where a disk is full."""
        if self.connection.invalidated:
            return True
        raw = self.connection.connection.dbapi_connection
        return self.torn or raw is None or not raw.in_transaction

    def end(self, error: BaseException | None = None) -> None:
        """Commits, or gives up for `error`; then all may go who wait for that."""
        self.error = error
        try:
            if error is None:
                self.connection.commit()
        except BaseException as failed:
            self.error = failed
            self.connection.invalidate()  # nobody knows what state it is in
            raise
        finally:
            self.connection.close()  # what is not committed is rolled back
            self.ended.set()


class SharedCommit:
    """Transactions of the threads of one process. Any may write, but not within a block of its own."""

    def __init__(self, engine: Engine) -> None:
        """`engine`: one whose transactions begin with SQLite's write lock, see `engine.writing`."""
        self._engine = engine
        self._turn = threading.Lock()
        self._counting = threading.Lock()
        self._waiting = 0
        self._open: _Batch | None = None
        self._refused: tuple[float, BaseException] = (float("-inf"), RuntimeError())

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Returns when what the block wrote is durable; takes it back whole where the block raises.

        Also what a block raises is told only then: it may be of what others wrote in the same transaction.
        """
        batch: _Batch | None = None
        try:
            with self._my_turn() as batch:
                yield from self._own_part(batch)
        finally:
            if batch is not None:
                self._wait(batch)

    def _own_part(self, batch: _Batch) -> Iterator[Connection]:
        try:
            with _savepoint(batch):
                yield batch.connection
            batch.members += 1
        except BaseException as error:
            if batch.given_up:
                self._end(batch, error)
            raise
        finally:
            # Whoever waits goes on with this transaction, and sees to its end in his turn.
            if self._waiting == 0 or batch.members >= _MOST:
                self._end(batch)

    @contextmanager
    def _my_turn(self) -> Iterator[_Batch]:
        """The open transaction, for this thread alone within the block."""
        came_at = time.monotonic()
        with self._counting:
            self._waiting += 1
        try:
            self._turn.acquire()
        finally:
            with self._counting:
                self._waiting -= 1
        try:
            yield self._open or self._begin(came_at)
        finally:
            self._turn.release()

    def _begin(self, came_at: float) -> _Batch:
        """A new transaction. Who waited while another was refused one does not wait as long once more."""
        refused_at, error = self._refused
        if came_at < refused_at:
            raise error
        try:
            self._open = _Batch(self._engine)
        except Exception as refused:
            self._refused = (time.monotonic(), refused)
            raise
        return self._open

    def _end(self, batch: _Batch, error: BaseException | None = None) -> None:
        if self._open is batch:
            self._open = None
            batch.end(error)

    def _wait(self, batch: _Batch) -> None:
        while not batch.ended.wait(_LOOK_AGAIN_SECONDS):
            with self._turn:  # whoever was to end it was interrupted before his turn
                self._end(batch)
        if batch.error is not None:
            raise batch.error


@contextmanager
def _savepoint(batch: _Batch) -> Iterator[None]:
    """What the block wrote is taken back where it raises, and nothing of those before it."""
    ask = batch.connection.exec_driver_sql
    ask("SAVEPOINT own")
    try:
        yield
        ask("RELEASE own")
    except BaseException:
        if not batch.given_up:
            batch.torn = True
            ask("ROLLBACK TO own")
            ask("RELEASE own")
            batch.torn = False
        raise
