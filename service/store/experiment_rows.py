"""Rows of experiments: what the stores of experiments and of sweeps both do with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, or_, select
from sqlalchemy.exc import DataError, IntegrityError

from service.shared.states import State
from service.store.attempts.values import AttemptRecord
from service.store.changes import changes_of_another, event
from service.store.commits.together import Together
from service.store.database import Database
from service.store.jobs import Ledger
from service.store.records import Experiment, Tagged, UnknownExperiment
from service.store.rows import Kind
from service.store.tables import events, experiments, tags
from service.store.trail.deeds import note_deeds

_EXPERIMENTS = Kind("experiment", experiments, events, events.c.experiment_id, Experiment, UnknownExperiment)


@dataclass(frozen=True)
class _New:
    """What is to be stored of one experiment, and that somebody asked for it."""

    row: Experiment
    tags: Mapping[str, str]
    reason: str
    attempts: Sequence[AttemptRecord]
    deed: dict[str, Any] | None


class ExperimentRows(Ledger[Experiment]):
    """The ledger of experiments, trials included. Any thread may call it."""

    def __init__(self, database: Database) -> None:
        own_job = or_(experiments.c.sweep_id.is_(None), experiments.c.detached)
        super().__init__(database, _EXPERIMENTS, own_job=own_job)
        self._together = Together(self._store_all, of_one=(IntegrityError, DataError))

    def create(
        self,
        new: Experiment,
        *,
        new_tags: Mapping[str, str],
        reason: str = "stored",
        attempts: Sequence[AttemptRecord] = (),
    ) -> Experiment:
        """Stores `new` and its first event, or gives the experiment that has its idempotency key.

        `attempts`: of one that was run before it has a row. Not for who leads: another thread may write it.
        """
        asked = _New(new, new_tags, reason, attempts, self.submission(new))
        return self.once(new, lambda: self._together.do(asked))

    def _store_all(self, asked: Sequence[_New]) -> None:
        """All of them or none, in one transaction: a statement for each table, however many they are.

        In one order everywhere: two services that are sent the same keys would else each hold one on Postgres
        that the other waits for.
        """
        by_reason: dict[str, list[Tagged]] = {}
        for each in sorted(asked, key=lambda each: (each.reason, each.row.idempotency_key or "")):
            by_reason.setdefault(each.reason, []).append((each.row, each.tags))
        with self._database.writing() as connection:
            for reason, rows in by_reason.items():
                self.insert_tagged(connection, rows, reason)
            for each in asked:
                if each.attempts:
                    self.keep_attempts(connection, each.row.id, each.attempts)
            note_deeds(connection, [each.deed for each in asked])

    def continuing(self, connection: Connection, which: ColumnElement[bool]) -> list[str]:
        """Ids of those that go on from one of `which`, within a transaction."""
        theirs = select(experiments.c.id).where(which)
        query = select(experiments.c.id).where(experiments.c.continues.in_(theirs))
        return list(connection.scalars(query))

    def reopen(self, connection: Connection, sweep_id: str, *, reason: str, now: datetime) -> None:
        """Trials that their sweep's end cancelled before they began wait again, within a transaction."""
        left = (
            experiments.c.sweep_id == sweep_id,
            experiments.c.state == State.CANCELLED,
            experiments.c.started_at.is_(None),
            experiments.c.cancel_requested_at.is_(None),
            ~experiments.c.stopped,
            ~experiments.c.detached,
        )
        rows = connection.execute(select(experiments.c.id, experiments.c.attempt).where(*left)).all()
        for row in rows:
            changes = changes_of_another(experiments.c.keys(), row.attempt, now)
            self.write(connection, row.id, **changes)
        happened = [event(row.id, now, row.attempt, State.CANCELLED, State.QUEUED, reason) for row in rows]
        if happened:
            self.record(connection, happened)

    def insert_tagged(self, connection: Connection, new: Sequence[Tagged], reason: str) -> None:
        """New experiments with their tags and first events, within a transaction."""
        self.insert(connection, [row for row, _ in new], reason)
        rows = [
            {"experiment_id": row.id, "key": key, "value": value}
            for row, its in new
            for key, value in its.items()
        ]
        if rows:
            connection.execute(insert(tags), rows)
