"""documents as they were sent"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_TABLES = ("experiments", "sweeps", "followups")


def upgrade() -> None:
    for table in _TABLES:
        op.add_column(table, sa.Column("sent", sa.Text(), nullable=True))


def downgrade() -> None:
    for table in _TABLES:
        op.drop_column(table, "sent")
