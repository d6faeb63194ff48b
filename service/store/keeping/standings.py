"""How rows stand, as far as it decides what of theirs may go."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Table, or_, select

from service.shared.states import State
from service.store.database import Database
from service.store.followups import FollowupStore
from service.store.tables import experiments, followups, sweeps, tags

KEEP = "keep"  # the key of a tag: nothing of such an experiment goes by itself
_COLUMNS = ("id", "state", "ended_at", "mlflow_status_due", "mlflow_run_id")
_TABLES: tuple[Table, ...] = (experiments, sweeps, followups)


@dataclass(frozen=True)
class Standing:
    """One row. `busy`: it has not ended, or something that has not ended needs what it left."""

    id: str
    busy: bool
    ended_at: datetime | None
    kept: bool
    run_id: str | None = None  # MLflow's


class Standings:
    """Reads of how rows stand. Any thread may call it."""

    def __init__(self, database: Database, followups_: FollowupStore) -> None:
        self._database = database
        self._followups = followups_

    def of(self, ids: Collection[str] | None = None) -> dict[str, Standing]:
        """Of the rows of these ids that there are, of every kind; None: of all rows."""
        needed = self._followups.read_now()
        with self._database.reading() as connection:
            kept = _kept(connection, ids)
            found = {}
            for table in _TABLES:
                columns = [table.c[name] for name in _COLUMNS]
                query = select(*columns)
                if ids is not None:
                    query = query.where(table.c.id.in_(ids))
                for row in connection.execute(query):
                    live = not State(row.state).ended or row.mlflow_status_due is not None
                    found[row.id] = Standing(
                        id=row.id,
                        busy=live or row.id in needed,
                        ended_at=row.ended_at,
                        kept=row.id in kept,
                        run_id=row.mlflow_run_id,
                    )
        return found


def _kept(connection: Connection, ids: Collection[str] | None) -> set[str]:
    """Experiments that carry the tag, and sweeps one of whose trials does."""
    query = (
        select(experiments.c.id, experiments.c.sweep_id)
        .join(tags, tags.c.experiment_id == experiments.c.id)
        .where(tags.c.key == KEEP)
    )
    if ids is not None:
        query = query.where(or_(experiments.c.id.in_(ids), experiments.c.sweep_id.in_(ids)))
    return {each for row in connection.execute(query) for each in row if each is not None}
