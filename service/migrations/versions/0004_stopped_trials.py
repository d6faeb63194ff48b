"""which trials a sweep's scheduler stopped early"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Added in place: to copy the table would drop it, and with it events and tags.
    op.add_column(
        "experiments", sa.Column("stopped", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    # Until now the class of the error told it.
    experiments = sa.table(
        "experiments",
        sa.column("stopped", sa.Boolean()),
        sa.column("state", sa.String()),
        sa.column("error_type", sa.String()),
    )
    early = (experiments.c.error_type == "StoppedEarly") & (experiments.c.state == "cancelled")
    op.execute(sa.update(experiments).where(early).values(stopped=sa.true()))


def downgrade() -> None:
    op.drop_column("experiments", "stopped")
