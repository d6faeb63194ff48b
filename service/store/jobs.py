"""Rows with a state and the history of it: what experiments, sweeps and follow-ups share.

Changes of state go through `transition` and the few steps of the classes above it, each with its event row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, and_, insert, select, update
from sqlalchemy.exc import IntegrityError

from service.shared.states import State
from service.store.attempts.keeping import keep, note_step
from service.store.attempts.values import AttemptRecord
from service.store.changes import changes_of, changes_of_another, event
from service.store.records import NOTHING, Conflict, Outcome
from service.store.rows import Row, Rows
from service.store.trail.deeds import deed_row, note_deed, note_deeds
from trainer.storage.notices import Notice

StopColumn = Literal["preempt_requested_at", "timeout_requested_at"]


class Ledger(Rows[Row]):
    """Reads and writes of one kind of row. Any thread may call it."""

    def transition(
        self, row: Row, *, to: State, reason: str, now: datetime, outcome: Outcome = NOTHING
    ) -> Row:
        """Moves the row to `to` and records why, in one transaction.

        Raises:
            Conflict: it is in no state that leads to `to`, or no longer in the attempt of `row`; or it was to
                rest, and that was taken back: nobody would wake it.
        """
        table = self._table
        attempt = row.attempt + 1 if to is State.QUEUED else row.attempt
        changes = changes_of(row, to, now, outcome) | {"attempt": attempt}
        may_leave = and_(table.c.id == row.id, table.c.state.in_(to.sources), table.c.attempt == row.attempt)
        if to is State.PAUSED:
            may_leave &= table.c.pause_requested_at.is_not(None)
        with self._database.writing() as connection:
            left = connection.execute(select(table.c.state).where(may_leave).with_for_update()).one_or_none()
            if left is None:
                current = self.read(connection, row.id)
                raise Conflict(
                    f"{self._kind.word} {row.id} is {current.state} in attempt {current.attempt}; "
                    f"{to} follows only {', '.join(to.sources)} of attempt {row.attempt}"
                    + (", while that is wanted" if to is State.PAUSED else "")
                )
            connection.execute(update(table).where(may_leave).values(changes))
            step = (State(left.state), to)
            note_step(connection, self._kind.singular, row, step, reason=reason, now=now, tried=outcome.tried)
            self.record(connection, [event(row.id, now, attempt, State(left.state), to, reason)])
            return self.read(connection, row.id)

    def retry(self, row: Row, *, attempt: int, reason: str, now: datetime) -> Row:
        """Queues one that failed or was cancelled again.

        Raises:
            Conflict: it did not, or somebody was faster.
        """
        with self._database.writing() as connection:
            current = self.read(connection, row.id, lock=True)
            if current.attempt != row.attempt or not current.state.can_be_retried:
                raise Conflict(
                    f"{self._kind.word} {row.id} is {current.state} in attempt {current.attempt}; "
                    "only one that failed or was cancelled can be retried"
                )
            changes = changes_of_another(self._table.c.keys(), attempt, now) | self._changes_of_retry(current)
            self.write(connection, row.id, **changes)
            self.record(connection, [event(row.id, now, attempt, current.state, State.QUEUED, reason)])
            note_deed(connection, "retry", self._kind.word, row.id, at=now)
            return self.read(connection, row.id)

    def _changes_of_retry(self, row: Row) -> dict[str, Any]:
        """What of this kind alone a retry changes."""
        del row
        return {}

    def request_cancel(self, identifier: str, *, now: datetime) -> Row:
        """Notes that somebody wants it cancelled; asking twice keeps the first time.

        Raises:
            Conflict: it has ended.
        """
        with self._database.writing() as connection:
            here = self.read_live(connection, identifier)
            if here.cancel_requested_at is None:
                self.write(connection, identifier, cancel_requested_at=now, updated_at=now)
                note_deed(connection, "cancel", self._kind.word, identifier, at=now)
            return self.read(connection, identifier)

    def request_stop(self, row: Row, column: StopColumn, reason: str, *, now: datetime) -> None:
        """Notes that the queue wants its job to end, and why; asked twice, the first time stays.

        Raises:
            Conflict: it has no job, or not that of the attempt of `row`.
        """
        with self._database.writing() as connection:
            here = self.read(connection, row.id, lock=True)
            if here.attempt != row.attempt or not here.state.has_job:
                raise Conflict(f"{self._kind.word} {row.id} is {here.state} in attempt {here.attempt} by now")
            if getattr(here, column) is None:
                self.write(connection, row.id, **{column: now, "updated_at": now})
                self.record(connection, [event(row.id, now, here.attempt, here.state, here.state, reason)])

    def observe(self, row: Row, *, job_status: str, mlflow_run_id: str | None, now: datetime) -> Row:
        """Keeps the last look at the attempt's job; `job_since` moves only when its status does."""
        changes: dict[str, Any] = {}
        if job_status != row.job_status:
            changes |= {"job_status": job_status, "job_since": now}
        if mlflow_run_id is not None and mlflow_run_id != row.mlflow_run_id:
            changes["mlflow_run_id"] = mlflow_run_id
        if not changes:
            return row
        same = and_(self._table.c.id == row.id, self._table.c.attempt == row.attempt)
        with self._database.writing() as connection:
            connection.execute(update(self._table).where(same).values(changes))
            return self.read(connection, row.id)

    def note(self, found: Sequence[tuple[Row, Sequence[Notice]]], *, now: datetime) -> None:
        """Keeps what was noticed of rows, and records each notice that is new to its row as an event."""
        found = [(row, notices) for row, notices in found if row.news(notices)]
        if not found:
            return
        with self._database.writing() as connection:
            for row, notices in found:
                current = self.read(connection, row.id, lock=True)
                news = current.news(notices)
                if news:
                    kept = [*(current.notices or ()), *(each.model_dump(mode="json") for each in news)]
                    self.write(connection, row.id, notices=kept, updated_at=now)
                    happened = [
                        event(row.id, now, current.attempt, current.state, current.state, str(each))
                        for each in news
                    ]
                    self.record(connection, happened)

    def tell(self, row: Row, reason: str, *, now: datetime) -> None:
        """Records an event that changes no state, and that nobody has to be reminded of."""
        with self._database.writing() as connection:
            self.record(connection, [event(row.id, now, row.attempt, row.state, row.state, reason)])

    def mlflow_due(self, seen: Row, status: str, *, now: datetime) -> Row:
        """Notes that the MLflow run has to be seen to: something may be missing there.

        Raises:
            Conflict: another attempt has begun since, whose own job will see to it.
        """
        with self._database.writing() as connection:
            here = self.read(connection, seen.id, lock=True)
            if here.attempt != seen.attempt or not here.state.ended:
                raise Conflict(
                    f"{self._kind.word} {seen.id} is {here.state} in attempt {here.attempt} by now"
                )
            moved = max(now, here.updated_at + timedelta.resolution)  # what `mlflow_settled` compares
            self.write(connection, seen.id, mlflow_status_due=status, updated_at=moved)
            note_deed(connection, "track", self._kind.word, seen.id, at=now)
            return self.read(connection, seen.id)

    def mlflow_settled(self, seen: Row, *, run_id: str | None = None) -> bool:
        """The MLflow run (now `run_id`, if given) has its final status, or there is none to have it.

        False, and nothing is written, where the row is no longer as it was seen: somebody may have asked
        for more, and it is to be looked at again.
        """
        changes = {} if run_id is None else {"mlflow_run_id": run_id}
        same = and_(self._table.c.id == seen.id, self._table.c.updated_at == seen.updated_at)
        with self._database.writing() as connection:
            settled = update(self._table).where(same).values(mlflow_status_due=None, **changes)
            return connection.execute(settled).rowcount == 1

    # ------------------------------------------------ for the store's own transactions

    def read_live(self, connection: Connection, identifier: str) -> Row:
        """The row, locked, within a transaction.

        Raises:
            Conflict: it has ended.
        """
        here = self.read(connection, identifier, lock=True)
        if here.state.ended:
            raise Conflict(f"{self._kind.word} {identifier} has ended already: it is {here.state}")
        return here

    def write(self, connection: Connection, identifier: str, **changes: Any) -> None:
        """Changes columns of a row, within a transaction; never its state without its event."""
        connection.execute(update(self._table).where(self._table.c.id == identifier).values(changes))

    def store_once(self, new: Row, write: Callable[[Connection], None]) -> Row:
        """What `write` has stored in one transaction: `new`, or the row that has its idempotency key."""

        def all_of_it() -> None:
            with self._database.writing() as connection:
                write(connection)
                note_deeds(connection, [self.submission(new)])

        return self.once(new, all_of_it)

    def once(self, new: Row, store: Callable[[], None]) -> Row:
        """`new`, which `store` stores, or the row that has its idempotency key."""
        try:
            store()
        except IntegrityError:
            # Another request with the same key was faster; anything else is a mistake of ours.
            earlier = self.find_request(new.idempotency_key) if new.idempotency_key else None
            if earlier is None:
                raise
            return earlier
        return new

    def submission(self, new: Row) -> dict[str, Any] | None:
        """For `note_deeds`: that this thread's user asked for `new`."""
        return deed_row("submit", self._kind.word, new.id, at=new.created_at, detail=new.name)

    def insert(self, connection: Connection, rows: Sequence[Row], reason: str) -> None:
        """New rows, each with its first event."""
        every = [each.name for each in fields(self._kind.record)]
        # Half of them are of what is still to come: left out, there is less to send and to look at.
        names = [name for name in every if any(getattr(row, name) is not None for row in rows)]
        connection.execute(
            insert(self._table), [{name: getattr(row, name) for name in names} for row in rows]
        )
        self.record(
            connection, [event(row.id, row.created_at, row.attempt, None, row.state, reason) for row in rows]
        )

    def keep_attempts(self, connection: Connection, identifier: str, found: Sequence[AttemptRecord]) -> None:
        """Records attempts of a row instead of what is on record of it, within a transaction."""
        keep(connection, self._kind.singular, identifier, found)

    def record(self, connection: Connection, happened: Sequence[dict[str, Any]]) -> None:
        """Event rows; see `event`."""
        owner = self._kind.owner.name
        rows = [{owner if name == "owner" else name: each[name] for name in each} for each in happened]
        connection.execute(insert(self._kind.events), rows)
