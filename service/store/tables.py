"""The tables, and the engine that reaches them. Only the store and the migrations import this."""

from __future__ import annotations

import fcntl
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from sqlalchemy import (
    JSON,
    URL,
    Boolean,
    Column,
    Connection,
    DateTime,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    false,
    func,
    make_url,
    select,
)
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeDecorator

BUSY_TIMEOUT_MS = 10_000
_SQLITE_FULL, _SQLITE_BROKEN = "database or disk is full", "disk I/O error"
_LITTLE_BYTES = 64 * 1024  # SQLite asks for so much at a time for what its processes share
_LEADER_KEY = 220401969  # any constant: the name of the advisory lock on Postgres


class UtcDateTime(TypeDecorator[datetime]):
    """Aware times in UTC on every database; SQLite itself keeps no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        assert isinstance(value, datetime)
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _asked() -> list[Column[Any]]:
    """What experiments and sweeps have in common: see `records.Asked`."""
    return [
        Column("id", String(64), primary_key=True),
        Column("name", String(200), nullable=False),
        Column("state", String(20), nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("failures", Integer, nullable=False),  # attempts that went wrong while their cluster lived
        Column("spec", Text, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("updated_at", UtcDateTime, nullable=False),
        Column("started_at", UtcDateTime),
        Column("ended_at", UtcDateTime),
        Column("cancel_requested_at", UtcDateTime),
        Column("error_type", String(200)),
        Column("error_message", Text),
        Column("mlflow_run_id", String(64)),
        Column("mlflow_status_due", String(20)),  # the status the run must still be given, if it has none
        Column("job_status", String(20)),  # last observation of this attempt's job …
        Column("job_since", UtcDateTime),  # … and since when it has been so
        Column("notices", JSON(none_as_null=True)),  # of all attempts, each once
        Column("idempotency_key", String(255), unique=True),
        Column("request_hash", String(64)),
    ]


def _happened() -> list[Column[Any]]:
    """A change of state, or what was noticed in one: see `records.Event`."""
    return [
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("at", UtcDateTime, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("from_state", String(20)),
        Column("to_state", String(20), nullable=False),
        Column("reason", Text, nullable=False),
    ]


experiments = Table(
    "experiments",
    metadata,
    *_asked(),
    Column("spec_hash", String(64), nullable=False),
    Column("dataset", String(100), nullable=False),
    Column("model", String(100), nullable=False),
    Column("method", String(100), nullable=False),
    Column("headline", JSON(none_as_null=True)),
    Column("progress", JSON(none_as_null=True)),
    Column("sweep_id", String(64)),  # no foreign key: SQLite would have to copy the table to get one
    Column("trial", Integer),
    Column("trial_row", Text),
    Column("detached", Boolean, nullable=False, server_default=false()),
    Index(None, "created_at", "id"),
    Index(None, "state", "created_at"),
    Index(None, "sweep_id", "trial", unique=True),
    Index(None, "sweep_id", "state"),
)

sweeps = Table(
    "sweeps",
    metadata,
    *_asked(),
    Column("paused", Boolean, nullable=False, server_default=false()),
    Index(None, "created_at", "id"),
    Index(None, "state", "created_at"),
)

tags = Table(
    "tags",
    metadata,
    Column("experiment_id", ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True),
    Column("key", String(100), primary_key=True),
    Column("value", String(500), nullable=False),
    Index(None, "key", "value"),
)

events = Table(
    "events",
    metadata,
    *_happened(),
    Column("experiment_id", ForeignKey("experiments.id", ondelete="CASCADE"), nullable=False),
    Index(None, "experiment_id", "id"),
)

sweep_events = Table(
    "sweep_events",
    metadata,
    *_happened(),
    Column("sweep_id", ForeignKey("sweeps.id", ondelete="CASCADE"), nullable=False),
    Index(None, "sweep_id", "id"),
)


def make_engine(url: str) -> Engine:
    """An engine for `url`; a SQLite file's directory is made, and the file is used in WAL mode."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True)
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


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
