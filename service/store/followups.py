"""Follow-ups: every query about them."""

from __future__ import annotations

import json
from collections.abc import Sequence, Set

from sqlalchemy import Connection, select, true

from service.shared.states import LIVE, State
from service.store.database import Database
from service.store.jobs import Ledger
from service.store.records import Followup, UnknownExperiment, UnknownFollowup
from service.store.rows import Kind
from service.store.tables import experiments, followup_events, followups
from trainer.spec.followups import FollowupKind

_FOLLOWUPS = Kind(
    "follow-up", followups, followup_events, followup_events.c.followup_id, Followup, UnknownFollowup
)


class FollowupStore(Ledger[Followup]):
    """All reads and writes of follow-ups. Any thread may call it."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, _FOLLOWUPS, own_job=true())

    def page(
        self,
        experiment_id: str,
        kind: FollowupKind,
        states: Sequence[State],
        *,
        cursor: str | None,
        limit: int,
    ) -> tuple[list[Followup], str | None]:
        """An experiment's follow-ups of a kind, newest first, and the cursor of the next page.

        Raises:
            BadCursor: `cursor` is not one of ours.
        """
        conditions = [followups.c.experiment_id == experiment_id, followups.c.kind == kind]
        if states:
            conditions.append(followups.c.state.in_(states))
        return self.listed(conditions, cursor=cursor, limit=limit)

    def create(self, new: Followup) -> Followup:
        """Stores `new` and its first event, or gives the follow-up that has its idempotency key.

        Raises:
            UnknownExperiment: the experiment is not there any more.
        """

        def write(connection: Connection) -> None:
            there = select(experiments.c.id).where(experiments.c.id == new.experiment_id)
            if connection.execute(there.with_for_update(read=True)).one_or_none() is None:
                raise UnknownExperiment(new.experiment_id)  # deleted just now
            self.insert(connection, [new], "stored")

        return self.store_once(new, write)

    def reading(self, experiment_id: str) -> list[Followup]:
        """Those that have not ended and read a checkpoint of the experiment, oldest first."""
        with self._database.reading() as connection:
            return self.readers(connection, {experiment_id})

    def read_now(self) -> set[str]:
        """Ids of all experiments that some follow-up reads which has not ended."""
        live = self.in_states(*LIVE)
        return {each for row in live for each in (row.experiment_id, _beside(row)) if each is not None}

    def readers(self, connection: Connection, ids: Set[str]) -> list[Followup]:
        """Those that have not ended and read one of these experiments, within a transaction, oldest first."""
        query = select(followups).where(followups.c.state.in_(LIVE))
        found = connection.execute(query.order_by(followups.c.created_at, followups.c.id))
        live = [Followup.from_row(row._asdict()) for row in found]
        return [row for row in live if ids & {row.experiment_id, _beside(row)}]


def _beside(row: Followup) -> str | None:
    """The other experiment that an evaluation looks at."""
    disagreement = json.loads(row.spec).get("disagreement")
    return None if disagreement is None else str(disagreement["against"])
