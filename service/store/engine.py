"""How the database is reached: engines for SQLite and Postgres, and the locks between services."""

from __future__ import annotations

import fcntl
import json
import math
import os
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select, text
from sqlalchemy.exc import DBAPIError

BUSY_TIMEOUT_MS = 10_000
_SQLITE_FULL, _SQLITE_BROKEN = "database or disk is full", "disk I/O error"
_LITTLE_BYTES = 64 * 1024  # SQLite asks for so much at a time for what its processes share
_LEADER_KEY = 220401969  # any constants: the names of advisory locks on Postgres
_MIGRATION_KEY = 220401970
# Of libpq, unless the URL says otherwise. A host that went away is noticed in a quarter of a minute, not two
# hours: a leader must not believe for so long that it still is one, and who asks gets an answer in time.
# `options` has the server's side of it: once the session of a leader that was switched off has ended, another
# one takes over.
_PATIENCE: dict[str, str | int] = {
    "application_name": "region-rebalance",
    "client_encoding": "utf8",
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "options": "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=3 -c tcp_keepalives_count=3",
}


def make_engine(url: str) -> Engine:
    """An engine for `url`; a SQLite file's directory is made, and the file is used in WAL mode."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        patience = {name: value for name, value in _PATIENCE.items() if name not in parsed.query}
        return create_engine(
            parsed,
            pool_pre_ping=True,
            isolation_level="READ COMMITTED",  # whatever the server's default: `transition` relies on it
            json_serializer=_finite_json,
            connect_args=patience,
        )
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, json_serializer=_finite_json)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _finite_json(value: Any) -> str:
    """JSON with null for NaN and infinities, which are none; Postgres refuses them."""
    return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def encoding_of(url: str) -> str:
    """How the database at `url` keeps text: "UTF8", or what else Postgres calls it."""
    engine = make_engine(url)
    try:
        if engine.dialect.name == "sqlite":
            return "UTF8"
        with engine.connect() as connection:
            return str(connection.scalar(text("SHOW server_encoding")))
    finally:
        engine.dispose()


def words_of(error: DBAPIError, url: URL) -> str:
    """What the database at `url` itself says, in one line, without what SQLAlchemy puts around it.

    Where the disk under a SQLite file is full, which SQLite also takes for one that is broken, it names the
    directory.
    """
    words = " ".join(str(error.orig).split())
    database = url.database if url.get_backend_name() == "sqlite" else None
    if database and (_SQLITE_FULL in words or (_SQLITE_BROKEN in words and _is_full(Path(database).parent))):
        return f"no space left in {Path(database).parent} ({words})"
    return words


def _is_full(directory: Path) -> bool:
    try:
        found = os.statvfs(directory)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < _LITTLE_BYTES


def writing(engine: Engine) -> Engine:
    """The same engine, whose transactions take SQLite's write lock at their start.

    A transaction that reads first and writes later would fail at once, without waiting, if
    another one wrote in between.
    """
    return engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")


def alone(connection: Connection) -> None:
    """Waits until nobody else is in a transaction that has called this; holds until this one ends.

    On SQLite the write lock of `writing` does that.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_KEY)))


class Leadership:
    """A lock that at most one process holds for a database; its end, even by SIGKILL, gives it back."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._file: IO[bytes] | None = None
        self._connection: Connection | None = None

    def acquire(self) -> bool:
        """True if the lock is ours, now or since earlier; does not wait."""
        if self._engine.dialect.name == "sqlite":
            return self._file is not None or self._lock_file()
        if self._connection is None:
            self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            # Taken again by its holder it only counts up; a new connection has to win it anew.
            return bool(self._connection.scalar(select(func.pg_try_advisory_lock(_LEADER_KEY))))
        except DBAPIError:
            self.release()
            raise

    def release(self) -> None:
        """Gives the lock back, if it was ours."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._connection is not None:
            if not self._connection.invalidated:
                with suppress(DBAPIError):  # the end of the connection does the same, only later
                    self._connection.execute(select(func.pg_advisory_unlock_all()))
            # Not back into the pool: the lock belongs to the session and would live on there.
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _lock_file(self) -> bool:
        database = self._engine.url.database
        if not database or database == ":memory:":
            return True
        stream = Path(f"{database}.leader").open("wb")  # noqa: SIM115 - open as long as the lock is held
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.close()
            return False
        self._file = stream
        return True


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))
