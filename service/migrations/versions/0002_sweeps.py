"""sweeps, and the experiments that are their trials"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sweeps",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_type", sa.String(length=200), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("mlflow_run_id", sa.String(length=64), nullable=True),
        sa.Column("mlflow_status_due", sa.String(length=20), nullable=True),
        sa.Column("job_status", sa.String(length=20), nullable=True),
        sa.Column("job_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("idempotency_key", sa.String(length=255), nullable=True),
        sa.Column("request_hash", sa.String(length=64), nullable=True),
        sa.Column("paused", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sweeps")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_sweeps_idempotency_key")),
    )
    op.create_index(op.f("ix_sweeps_created_at_id"), "sweeps", ["created_at", "id"])
    op.create_index(op.f("ix_sweeps_state_created_at"), "sweeps", ["state", "created_at"])
    op.create_table(
        "sweep_events",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("from_state", sa.String(length=20), nullable=True),
        sa.Column("to_state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("sweep_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["sweep_id"], ["sweeps.id"], name=op.f("fk_sweep_events_sweep_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sweep_events")),
    )
    op.create_index(op.f("ix_sweep_events_sweep_id_id"), "sweep_events", ["sweep_id", "id"])
    # Columns that SQLite adds in place: to copy the table would drop it, and with it events and tags.
    op.add_column("experiments", sa.Column("sweep_id", sa.String(length=64), nullable=True))
    op.add_column("experiments", sa.Column("trial", sa.Integer(), nullable=True))
    op.add_column("experiments", sa.Column("trial_row", sa.Text(), nullable=True))
    op.add_column(
        "experiments", sa.Column("detached", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.create_index(op.f("ix_experiments_sweep_id_trial"), "experiments", ["sweep_id", "trial"], unique=True)
    op.create_index(op.f("ix_experiments_sweep_id_state"), "experiments", ["sweep_id", "state"])


def downgrade() -> None:
    op.drop_index(op.f("ix_experiments_sweep_id_state"), "experiments")
    op.drop_index(op.f("ix_experiments_sweep_id_trial"), "experiments")
    for name in ("detached", "trial_row", "trial", "sweep_id"):
        op.drop_column("experiments", name)
    op.drop_table("sweep_events")
    op.drop_table("sweeps")
