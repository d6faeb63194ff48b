"""Rows with a state and the history of it: the queries that experiments and sweeps share.

Changes of state go through `transition` and the few steps of the classes above it, each with its event row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from service.shared.states import State
from service.store.database import Database
from service.store.records import NOTHING, Conflict, Cursor, Event, JobRow, Outcome
from trainer.base.errors import RegionRebalanceError
from trainer.storage.notices import Notice

Row = TypeVar("Row", bound=JobRow)


@dataclass(frozen=True)
class Kind(Generic[Row]):
    """What is kept: its tables, what a row is made into, and the words for it."""

    word: str
    table: Table
    events: Table
    owner: Column[Any]  # of `events`
    record: type[Row]
    unknown: type[RegionRebalanceError]


class Ledger(Generic[Row]):
    """Reads and writes of one kind of row. Any thread may call it."""

    def __init__(self, database: Database, kind: Kind[Row], *, own_job: ColumnElement[bool]) -> None:
        """`own_job` holds for rows whose job is theirs, and which the reconciler therefore submits."""
        self._database = database
        self._kind = kind
        self._table = kind.table
        self._own_job = own_job

    def get(self, identifier: str) -> Row:
        """The row, or the kind's own error where there is none of this id."""
        with self._database.reading() as connection:
            return self.read(connection, identifier)

    def find_request(self, idempotency_key: str) -> Row | None:
        """What was stored under this key, if anything."""
        found = self.select(select(self._table).where(self._table.c.idempotency_key == idempotency_key))
        return found[0] if found else None

    def listed(
        self, conditions: Sequence[ColumnElement[bool]], *, cursor: str | None, limit: int
    ) -> tuple[list[Row], str | None]:
        """Rows, newest first, and the cursor of the next page. Raises BadCursor."""
        query, at, key = select(self._table).where(*conditions), self._table.c.created_at, self._table.c.id
        if cursor is not None:
            here = Cursor.decode(cursor)
            query = query.where(or_(at < here.created_at, and_(at == here.created_at, key < here.id)))
        rows = self.select(query.order_by(at.desc(), key.desc()).limit(limit + 1))
        more = len(rows) > limit
        last = rows[limit - 1] if more else None
        return rows[:limit], Cursor(last.created_at, last.id).encode() if last else None

    def history(self, identifier: str, *, after: int, limit: int) -> tuple[list[Event], int | None]:
        """Changes of state, oldest first, and the id to go on after, None on the last page."""
        events, owner = self._kind.events, self._kind.owner
        columns = [column for column in events.c if column is not owner]
        beyond = events.c.id > literal(after, BigInteger())  # a caller's number, maybe larger than any id
        mine = select(*columns).where(owner == identifier, beyond).order_by(events.c.id)
        with self._database.reading() as connection:
            self.read(connection, identifier)
            rows = connection.execute(mine.limit(limit + 1)).all()
        found = [Event.from_row(row._asdict()) for row in rows[:limit]]
        return found, found[-1].id if len(rows) > limit else None

    def in_states(
        self, *states: State, limit: int | None = None, cancel_requested: bool | None = None
    ) -> list[Row]:
        """Rows in one of `states` whose job is theirs, oldest first; with or without a wish to cancel."""
        query = select(self._table).where(self._table.c.state.in_(states), self._own_job)
        if cancel_requested is not None:
            wished = self._table.c.cancel_requested_at
            query = query.where(wished.is_not(None) if cancel_requested else wished.is_(None))
        return self.select(query.order_by(self._table.c.created_at, self._table.c.id).limit(limit))

    def with_mlflow_due(self, *, limit: int | None) -> list[Row]:
        """Rows whose MLflow run has still to be given its final status."""
        due = select(self._table).where(self._table.c.mlflow_status_due.is_not(None))
        return self.select(due.order_by(self._table.c.updated_at).limit(limit))

    def transition(
        self, row: Row, *, to: State, reason: str, now: datetime, outcome: Outcome = NOTHING
    ) -> Row:
        """Moves the row to `to` and records why, in one transaction.

        Raises:
            Conflict: it is in no state that leads to `to`, or no longer in the attempt of `row`.
        """
        table = self._table
        attempt = row.attempt + 1 if to is State.QUEUED else row.attempt
        changes = changes_of(row, to, now, outcome) | {"attempt": attempt}
        may_leave = and_(table.c.id == row.id, table.c.state.in_(to.sources), table.c.attempt == row.attempt)
        with self._database.writing() as connection:
            left = connection.execute(select(table.c.state).where(may_leave).with_for_update()).one_or_none()
            if left is None:
                current = self.read(connection, row.id)
                raise Conflict(
                    f"{self._kind.word} {row.id} is {current.state} in attempt {current.attempt}; "
                    f"{to} follows only {', '.join(to.sources)} of attempt {row.attempt}"
                )
            connection.execute(update(table).where(may_leave).values(changes))
            self.record(connection, [event(row.id, now, attempt, State(left.state), to, reason)])
            return self.read(connection, row.id)

    def request_cancel(self, identifier: str, *, now: datetime) -> Row:
        """Notes that somebody wants it cancelled; asking twice keeps the first time.

        Raises:
            Conflict: it has ended.
        """
        with self._database.writing() as connection:
            here = self.read_live(connection, identifier)
            if here.cancel_requested_at is None:
                self.write(connection, identifier, cancel_requested_at=now, updated_at=now)
            return self.read(connection, identifier)

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

    def select(self, query: Select[Any]) -> list[Row]:
        """The rows of a query over all columns of the table."""
        with self._database.reading() as connection:
            return [self._kind.record.from_row(row._asdict()) for row in connection.execute(query)]

    def read(self, connection: Connection, identifier: str, *, lock: bool = False) -> Row:
        """The row, within a transaction."""
        if "\0" in identifier:
            raise self._kind.unknown(identifier)  # Postgres would refuse the question
        query = select(self._table).where(self._table.c.id == identifier)
        row = connection.execute(query.with_for_update() if lock else query).one_or_none()
        if row is None:
            raise self._kind.unknown(identifier)
        return self._kind.record.from_row(row._asdict())

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
        try:
            with self._database.writing() as connection:
                write(connection)
        except IntegrityError:
            # Another request with the same key was faster; anything else is a mistake of ours.
            earlier = self.find_request(new.idempotency_key) if new.idempotency_key else None
            if earlier is None:
                raise
            return earlier
        return new

    def insert(self, connection: Connection, rows: Sequence[Row], reason: str) -> None:
        """New rows, each with its first event."""
        names = [each.name for each in fields(self._kind.record)]
        connection.execute(
            insert(self._table), [{name: getattr(row, name) for name in names} for row in rows]
        )
        self.record(
            connection, [event(row.id, row.created_at, row.attempt, None, row.state, reason) for row in rows]
        )

    def record(self, connection: Connection, happened: Sequence[dict[str, Any]]) -> None:
        """Event rows; see `event`."""
        owner = self._kind.owner.name
        rows = [{owner if name == "owner" else name: each[name] for name in each} for each in happened]
        connection.execute(insert(self._kind.events), rows)


def event(
    owner: str, at: datetime, attempt: int, left: State | None, to: State, reason: str
) -> dict[str, Any]:
    """An event row, for `Ledger.record`."""
    return {
        "owner": owner,
        "at": at,
        "attempt": attempt,
        "from_state": left,
        "to_state": to,
        "reason": reason,
    }


def changes_of(row: JobRow, to: State, now: datetime, outcome: Outcome) -> dict[str, Any]:
    """The columns that a step to `to` changes, the attempt aside."""
    changes: dict[str, Any] = {"state": to, "updated_at": now, **outcome.columns()}
    if to in (State.QUEUED, State.SUBMITTED):
        changes |= {"job_status": None, "job_since": None}
    if to is State.RUNNING:
        changes["started_at"] = now
    if row.started_at is not None:
        changes["started_at"] = row.started_at  # of the first attempt
    if to.ended:
        changes["ended_at"] = now
    return changes
