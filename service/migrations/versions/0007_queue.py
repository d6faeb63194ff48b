"""who waits for what: owners, priorities, what is asked for, why one waits; and a record of each attempt"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_OF_JOBS = ("experiments", "sweeps", "followups")
_LIVE = ("queued", "submitted", "running")


def upgrade() -> None:
    for table in _OF_JOBS:
        for column in _columns():
            op.add_column(table, column)
        _fill_in(table)
    op.create_table(
        "attempts",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("owner_id", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.String(length=80), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=True),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("job_status", sa.String(length=20), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("error_type", sa.String(length=200), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("counted", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("log", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
    )
    op.create_index(
        op.f("ix_attempts_owner_id_kind_attempt"), "attempts", ["owner_id", "kind", "attempt"], unique=True
    )


def downgrade() -> None:
    op.drop_table("attempts")
    for table in _OF_JOBS:
        with op.batch_alter_table(table) as batch:
            for column in _columns():
                batch.drop_column(column.name)


def _columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("owner", sa.String(length=100), nullable=True),
        sa.Column("project", sa.String(length=100), nullable=True),
        sa.Column("priority", sa.Integer(), server_default="0", nullable=False),
        sa.Column("preemptible", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("max_wait", sa.Integer(), nullable=True),
        sa.Column("max_duration", sa.Integer(), nullable=True),
        sa.Column("gpus", sa.Float(), server_default="0", nullable=False),
        sa.Column("cpus", sa.Float(), server_default="0", nullable=False),
        sa.Column("most_gpus", sa.Float(), server_default="0", nullable=False),
        sa.Column("most_cpus", sa.Float(), server_default="0", nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("admitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("wait_reason", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("preempt_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("timeout_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pause_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("preemptions", sa.Integer(), server_default="0", nullable=False),
    ]


def _fill_in(table: str) -> None:
    """What rows that wait or run ask for; of ended ones nobody counts it."""
    rows = sa.table(
        table,
        sa.column("id"),
        sa.column("state"),
        sa.column("spec"),
        *(sa.column(name) for name in ("gpus", "cpus", "most_gpus", "most_cpus")),
    )
    connection = op.get_bind()
    for row in connection.execute(sa.select(rows.c.id, rows.c.spec).where(rows.c.state.in_(_LIVE))).all():
        gpus, cpus = _asked(row.spec)
        asked = {"gpus": gpus, "cpus": cpus, "most_gpus": gpus, "most_cpus": cpus}
        connection.execute(sa.update(rows).where(rows.c.id == row.id).values(asked))


def _asked(spec: str) -> tuple[float, float]:
    """GPUs and CPUs of all workers, of a sweep those of one trial; none where nothing is said."""
    try:
        document = json.loads(spec)
        asked = document.get("base", document).get("resources") or {}
        workers = int(asked.get("workers", 1)) if asked else 0
        return workers * float(asked.get("gpus_per_worker", 0)), workers * float(
            asked.get("cpus_per_worker", 1)
        )
    except (ValueError, TypeError, AttributeError):
        return 0.0, 0.0
