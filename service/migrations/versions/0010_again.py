"""what an experiment continues, and which earlier one it is the same as"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("experiments", sa.Column("continues", sa.String(length=64), nullable=True))
    op.add_column("experiments", sa.Column("duplicate_of", sa.String(length=64), nullable=True))
    op.create_index(op.f("ix_experiments_spec_hash_created_at"), "experiments", ["spec_hash", "created_at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_experiments_spec_hash_created_at"), table_name="experiments")
    op.drop_column("experiments", "duplicate_of")
    op.drop_column("experiments", "continues")
