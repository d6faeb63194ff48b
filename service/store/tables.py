"""The tables, and how their values are kept. Only the store and the migrations import this."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    false,
    text,
)
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.types import TypeDecorator

from trainer.base.text import storable

SCHEMA = "0013"  # the newest of service/migrations/versions, which these tables are


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


class Told(TypeDecorator[str]):
    """Text that jobs and clusters tell, as every database takes it: `storable`, no longer than it may be."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        most: int | None = getattr(self.impl_instance, "length", None)
        return None if value is None else storable(value)[:most]


class ToldWord(Told):
    """The same, cut to the length of its column."""

    impl = String  # type: ignore[assignment]
    cache_ok = True


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


_AMOUNTS = ("gpus", "cpus", "most_gpus", "most_cpus")


def _job_columns() -> list[Column[Any]]:
    """What experiments, sweeps and follow-ups have in common: see `records.JobRow`."""
    return [
        Column("id", String(64), primary_key=True),
        Column("name", String(200), nullable=False),
        Column("state", String(20), nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("failures", Integer, nullable=False),  # attempts that went wrong while their cluster lived
        Column("spec", Text, nullable=False),
        Column("sent", Text),  # as it came; None of what the service made itself
        Column("created_at", UtcDateTime, nullable=False),
        Column("updated_at", UtcDateTime, nullable=False),
        Column("started_at", UtcDateTime),
        Column("ended_at", UtcDateTime),
        Column("cancel_requested_at", UtcDateTime),
        Column("error_type", ToldWord(200)),
        Column("error_message", Told),
        Column("mlflow_run_id", ToldWord(64)),
        Column("mlflow_status_due", String(20)),  # the status the run must still be given, if it has none
        Column("job_status", String(20)),  # last observation of this attempt's job …
        Column("job_since", UtcDateTime),  # … and since when it has been so
        Column("notices", JSON(none_as_null=True)),  # of all attempts, each once
        Column("idempotency_key", String(255), unique=True),
        Column("request_hash", String(64)),
        *_demand_columns(),
    ]


def _demand_columns() -> list[Column[Any]]:
    """What a row asks of the queue, and what the queue says of it: see `demands.Demand`."""
    return [
        Column("owner", String(100)),
        Column("project", String(100)),
        Column("priority", Integer, nullable=False, server_default="0"),
        Column("preemptible", Boolean, nullable=False, server_default=false()),
        Column("max_wait", Integer),
        Column("max_duration", Integer),
        *(Column(name, Float, nullable=False, server_default="0") for name in _AMOUNTS),
        Column("queued_at", UtcDateTime),
        Column("admitted_at", UtcDateTime),
        Column("wait_reason", JSON(none_as_null=True)),
        Column("preempt_requested_at", UtcDateTime),
        Column("timeout_requested_at", UtcDateTime),
        Column("pause_requested_at", UtcDateTime),
        Column("preemptions", Integer, nullable=False, server_default="0"),
    ]


def _happened() -> list[Column[Any]]:
    """A change of state, or what was noticed in one: see `records.Event`."""
    return [
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("at", UtcDateTime, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("from_state", String(20)),
        Column("to_state", String(20), nullable=False),
        Column("reason", Told, nullable=False),
    ]


_DUE = text("mlflow_status_due IS NOT NULL")  # asked in each pass, and of all that was ever stored few

experiments = Table(
    "experiments",
    metadata,
    *_job_columns(),
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
    Column("stopped", Boolean, nullable=False, server_default=false()),  # early, by its sweep's scheduler
    Column("continues", String(64)),  # ids, no foreign keys: what they name may be deleted
    Column("duplicate_of", String(64)),
    Index(None, "spec_hash", "created_at"),
    Index(None, "created_at", "id"),
    Index(None, "state", "created_at"),
    Index(None, "sweep_id", "trial", unique=True),
    Index(None, "sweep_id", "state"),
    Index(None, "owner", "created_at"),
    Index("ix_experiments_due", "updated_at", sqlite_where=_DUE, postgresql_where=_DUE),
)

sweeps = Table(
    "sweeps",
    metadata,
    *_job_columns(),
    Column("paused", Boolean, nullable=False, server_default=false()),
    Column("spec_hash", String(64)),  # None of those from before it was kept
    Column("duplicate_of", String(64)),  # an id, no foreign key: what it names may be deleted
    Index(None, "spec_hash", "created_at"),
    Index(None, "created_at", "id"),
    Index(None, "state", "created_at"),
    Index(None, "owner", "created_at"),
)

followups = Table(
    "followups",
    metadata,
    *_job_columns(),
    Column("experiment_id", ForeignKey("experiments.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("headline", JSON(none_as_null=True)),
    Index(None, "experiment_id", "kind", "created_at"),
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

followup_events = Table(
    "followup_events",
    metadata,
    *_happened(),
    Column("followup_id", ForeignKey("followups.id", ondelete="CASCADE"), nullable=False),
    Index(None, "followup_id", "id"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("scope", String(20), nullable=False),
    Column("shown", String(20), nullable=False),  # its first characters
    Column("digest", String(64), unique=True, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
)

# Each try at an experiment, a sweep or a follow-up, for as long as its row is kept.
attempts = Table(
    "attempts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(20), nullable=False),  # of the owner: experiment, sweep or followup
    Column("owner_id", String(64), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("job_id", String(80), nullable=False),
    Column("host", ToldWord(255)),
    Column("submitted_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("job_status", String(20)),  # the cluster's last word
    Column("exit_code", Integer),
    Column("error_type", ToldWord(200)),
    Column("reason", Told),
    Column("counted", Boolean, nullable=False, server_default=false()),  # as a failure
    Column("log", Text),  # relative to the storage
    Index(None, "owner_id", "kind", "attempt", unique=True),
)

# Who asked for which change. It outlives what it is about: no foreign key.
audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", String(100)),  # a token's name; NULL where none was asked for
    Column("action", String(20), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("subject", String(80)),  # the id of what was changed
    Column("request", String(64)),
    Column("detail", Told),
    Index(None, "subject", "action"),
)

# Postgres only: beside SQLite's file there is a lock, see `leadership.py`.
leases = Table(
    "leases",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("holder", String(200), nullable=False),
    Column("number", Integer, nullable=False),  # grows with each holder
    Column("expires_at", DateTime(timezone=True), nullable=False),
)
