"""which earlier sweep one is the same as; records of attempts go whose rows had been deleted"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_OWNERS = {"experiment": "experiments", "sweep": "sweeps", "followup": "followups"}


def upgrade() -> None:
    op.add_column("sweeps", sa.Column("spec_hash", sa.String(length=64), nullable=True))
    op.add_column("sweeps", sa.Column("duplicate_of", sa.String(length=64), nullable=True))
    op.create_index(op.f("ix_sweeps_spec_hash_created_at"), "sweeps", ["spec_hash", "created_at"])
    for kind, table in _OWNERS.items():  # deleting them asked for the records by another word
        orphans = f"DELETE FROM attempts WHERE kind = '{kind}' AND owner_id NOT IN (SELECT id FROM {table})"
        op.execute(orphans)


def downgrade() -> None:
    op.drop_index(op.f("ix_sweeps_spec_hash_created_at"), table_name="sweeps")
    op.drop_column("sweeps", "duplicate_of")
    op.drop_column("sweeps", "spec_hash")
