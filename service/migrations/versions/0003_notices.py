"""what a person must see of an experiment or sweep"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("experiments", "sweeps"):
        op.add_column(table, sa.Column("notices", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    for table in ("experiments", "sweeps"):
        op.drop_column(table, "notices")
