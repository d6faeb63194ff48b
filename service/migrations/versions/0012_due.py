"""whose MLflow run is due: asked in each pass, and of all that was ever stored few"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_DUE = sa.text("mlflow_status_due IS NOT NULL")


def upgrade() -> None:
    op.create_index(
        "ix_experiments_due", "experiments", ["updated_at"], sqlite_where=_DUE, postgresql_where=_DUE
    )


def downgrade() -> None:
    op.drop_index("ix_experiments_due", table_name="experiments")
