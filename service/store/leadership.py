"""Who of several services on one database acts: one of them, told from former ones by its number."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import IO, Protocol

from sqlalchemy import Connection, Engine, and_, case, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from service.store.records import StoreUnavailable
from service.store.tables import leases

LEASE_SECONDS = 10.0
_STALE_SECONDS = 120.0  # so long the lease is renewed for a holder that does not ask whether it has it
_NAME = "reconciler"


class Leadership(Protocol):
    """Held by at most one process at a time."""

    @property
    def number(self) -> int | None:
        """Grows with each holder; None for one that does not hold it, or needs none."""
        ...

    def acquire(self) -> bool:
        """True if it is ours, now or since earlier; does not wait."""
        ...

    def release(self) -> None:
        """Gives it back, if it was ours."""
        ...

    def fence(self, connection: Connection) -> None:
        """Within a transaction of the holder: returns where nobody else has led since.

        Raises:
            StoreUnavailable: somebody has.
        """
        ...


class FileLock:
    """Beside SQLite's file; its holder's end, even by SIGKILL, gives it back, and nothing else does."""

    number = None

    def __init__(self, engine: Engine) -> None:
        self._database = engine.url.database
        self._file: IO[bytes] | None = None

    def acquire(self) -> bool:
        return self._file is not None or self._lock()

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def fence(self, connection: Connection) -> None:
        del connection

    def _lock(self) -> bool:
        if not self._database or self._database == ":memory:":
            return True
        stream = Path(f"{self._database}.leader").open("wb")  # noqa: SIM115 - open while it is held
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.close()
            return False
        self._file = stream
        return True


class Lease:
    """A row of Postgres with a holder, an end and a number. A lock of a session would outlive a partition.

    It is renewed by a thread of its own, three times in its length, by the database's clock; this process
    trusts its own only to stop early. What a former holder would still write is refused by `fence`.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        seconds: float = LEASE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._seconds = seconds
        self._clock = clock
        self._holder = f"{socket.gethostname()[:100]} {os.getpid()} {secrets.token_hex(4)}"
        self._number: int | None = None
        self._until = float("-inf")
        self._asked_at = clock()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._keeper: threading.Thread | None = None

    @property
    def number(self) -> int | None:
        return self._number

    def acquire(self) -> bool:
        self._asked_at = self._clock()
        with self._lock:
            if self._number is not None and self._clock() < self._until:
                return True
            held = self._take()
        if held and self._keeper is None:
            self._keeper = threading.Thread(target=self._keep, name="lease", daemon=True)
            self._keeper.start()
        return held

    def release(self) -> None:
        self._over.set()
        if self._keeper is not None:
            self._keeper.join()
        with self._lock:
            number, self._number, self._until = self._number, None, float("-inf")
        if number is not None:
            mine = and_(leases.c.holder == self._holder, leases.c.number == number)
            try:
                with self._engine.begin() as connection:
                    connection.execute(update(leases).where(mine).values(expires_at=func.now()))
            except DBAPIError:
                return  # it ends by itself

    def fence(self, connection: Connection) -> None:
        # The lock keeps anybody from taking the lease before this transaction has ended.
        asked = select(leases.c.number).where(leases.c.name == _NAME).with_for_update(read=True)
        if self._number is None or connection.scalar(asked) != self._number:
            raise StoreUnavailable("another service leads by now")

    def _take(self) -> bool:
        """Renews or takes it, where it is ours or nobody's. Raises DBAPIError."""
        asked_at = self._clock()
        ends = func.clock_timestamp() + timedelta(seconds=self._seconds)
        new = insert(leases).values(name=_NAME, holder=self._holder, number=1, expires_at=ends)
        ours = leases.c.holder == self._holder
        # Its number stays while it is renewed: also one that had run out, if nobody took it meanwhile.
        taken = new.on_conflict_do_update(
            index_elements=[leases.c.name],
            set_={
                "holder": self._holder,
                "expires_at": ends,
                "number": leases.c.number + case((ours, 0), else_=1),
            },
            where=or_(ours, leases.c.expires_at < func.clock_timestamp()),
        ).returning(leases.c.number)
        with self._engine.begin() as connection:
            number = connection.scalar(taken)
        self._number = number
        self._until = asked_at + self._seconds if number is not None else float("-inf")
        return number is not None

    def _keep(self) -> None:
        """Renews it until it is given back, or until its holder seems to have stopped."""
        while not self._over.wait(self._seconds / 3):
            with self._lock:
                if self._number is None or self._clock() - self._asked_at > _STALE_SECONDS:
                    continue
                try:
                    self._take()
                except DBAPIError:
                    continue  # perhaps the next time, before it has run out


def leadership_of(engine: Engine) -> Leadership:
    """What fits the database."""
    return FileLock(engine) if engine.dialect.name == "sqlite" else Lease(engine)
