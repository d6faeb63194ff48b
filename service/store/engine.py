"""How the database is reached: engines for SQLite and Postgres, and the lock between migrations."""

from __future__ import annotations

import json
import math
import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    ExceptionContext,
    create_engine,
    event,
    func,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError

BUSY_TIMEOUT_MS = 10_000
_SQLITE_FULL, _SQLITE_BROKEN = "database or disk is full", "disk I/O error"
_POSTGRES_READ_ONLY = "25006"
_PRIMARY_CODE = 0xFF  # of SQLite's error codes; the rest says more of the same
_LITTLE_BYTES = 64 * 1024  # SQLite asks for so much at a time for what its processes share
_MIGRATION_KEY = 220401970  # any constant: the name of an advisory lock on Postgres
# Of libpq, unless the URL says otherwise. A host that went away is noticed in a quarter of a minute, not two
# hours: a leader must not believe for so long that it still is one, and who asks gets an answer in time.
# `options` has the server's side of it: a transaction that was open on a host that was switched off ends,
# and no longer keeps the next leader from the row of the lease.
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
        engine = create_engine(
            parsed,
            pool_pre_ping=True,
            isolation_level="READ COMMITTED",  # whatever the server's default: `transition` relies on it
            json_serializer=_finite_json,
            connect_args=patience,
        )
        event.listen(engine, "handle_error", _open_anew)
        return engine
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, json_serializer=_finite_json)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    event.listen(engine, "handle_error", _open_anew)
    return engine


def _finite_json(value: Any) -> str:
    """JSON with null for NaN and infinities, which are none; Postgres refuses them."""
    return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
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


def reading(engine: Engine) -> Engine:
    """The same engine for those who only read.

    On Postgres each question is answered as of its own time anyway (READ COMMITTED), so that a transaction
    around it would be two further ways to the server and back. SQLite's holds still for several questions.
    """
    return (
        engine if engine.dialect.name == "sqlite" else engine.execution_options(isolation_level="AUTOCOMMIT")
    )


def alone(connection: Connection) -> None:
    """Waits until nobody else is in a transaction that has called this; holds until this one ends.

    On SQLite the write lock of `writing` does that.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_KEY)))


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _open_anew(context: ExceptionContext) -> None:
    """A connection that was opened while the database was read-only stays so, and all others are as suspect.

    On Postgres it may also lead to a server that is the primary no more.
    """
    error = context.original_exception
    on_sqlite = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE == sqlite3.SQLITE_READONLY
    if on_sqlite or getattr(error, "sqlstate", None) == _POSTGRES_READ_ONLY:
        context.is_disconnect = True


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))
