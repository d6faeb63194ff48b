"""Run by alembic for every command."""

from __future__ import annotations

from alembic import context

from service.migrations import APPLIED
from service.store.engine import alone, make_engine, writing
from service.store.tables import metadata

applied = context.config.attributes.setdefault(APPLIED, [])
engine = make_engine(context.config.attributes["url"])
try:
    with writing(engine).connect() as connection:
        # Batch mode: SQLite cannot alter a column in place. One transaction for all steps, which SQLite can,
        # too: services that start at once find all of it done, or nothing.
        context.configure(
            connection=connection,
            target_metadata=metadata,
            render_as_batch=True,
            compare_type=True,
            transactional_ddl=True,
            on_version_apply=lambda step, **_: applied.append(step.up_revision_id),
        )
        with context.begin_transaction():
            alone(connection)
            context.run_migrations()
finally:
    engine.dispose()
