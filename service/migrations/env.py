"""Run by alembic for every command."""

from __future__ import annotations

from alembic import context

from service.store.tables import make_engine, metadata, writing

engine = make_engine(context.config.attributes["url"])
try:
    with writing(engine).connect() as connection:
        # Batch mode: SQLite cannot alter a column in place.
        context.configure(
            connection=connection, target_metadata=metadata, render_as_batch=True, compare_type=True
        )
        with context.begin_transaction():
            context.run_migrations()
finally:
    engine.dispose()
