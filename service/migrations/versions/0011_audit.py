"""who asked for which change, and when; lists by owner"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_OWNED = ("experiments", "sweeps")


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=True),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("subject", sa.String(length=80), nullable=True),
        sa.Column("request", sa.String(length=64), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_subject_action"), "audit", ["subject", "action"])
    for table in _OWNED:
        op.create_index(op.f(f"ix_{table}_owner_created_at"), table, ["owner", "created_at"])


def downgrade() -> None:
    for table in _OWNED:
        op.drop_index(op.f(f"ix_{table}_owner_created_at"), table_name=table)
    op.drop_index(op.f("ix_audit_subject_action"), table_name="audit")
    op.drop_table("audit")
