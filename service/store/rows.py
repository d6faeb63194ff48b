"""Rows with a state and the history of it, as they are read: what all kinds of them share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    bindparam,
    func,
    literal,
    or_,
    select,
    tuple_,
)

from service.shared.access.deeds import Subject
from service.shared.states import ENDED, WITH_JOB, State
from service.store.attempts import keeping
from service.store.attempts.values import AttemptRecord
from service.store.database import Database
from service.store.records import Cursor, Event, JobRow, Unknown
from service.store.trail.deeds import deletion_of, told

Row = TypeVar("Row", bound=JobRow)

_NEWS = 5000


@dataclass(frozen=True)
class Kind(Generic[Row]):
    """What is kept: its tables, what a row is made into, and the words for it."""

    word: Subject
    table: Table
    events: Table
    owner: Column[Any]  # of `events`
    record: type[Row]
    unknown: type[Unknown]

    @property
    def singular(self) -> str:
        """As the record of attempts calls an owner."""
        return keeping.kind_of(self.table)


class Rows(Generic[Row]):
    """Reads of one kind of row. Any thread may call it."""

    def __init__(self, database: Database, kind: Kind[Row], *, own_job: ColumnElement[bool]) -> None:
        """`own_job` holds for rows whose job is theirs, and which the reconciler therefore submits."""
        self._database = database
        self._kind = kind
        self._table = kind.table
        self._own_job = own_job
        # Made once: to put it together costs as much as to ask.
        self._one = select(kind.table).where(kind.table.c.id == bindparam("identifier"))

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
            # Compared as a pair, both databases begin in the index at the cursor, however far back it is.
            query = query.where(tuple_(at, key) < (here.created_at, here.id))
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

    def attempts(
        self, identifier: str, *, after: int = 0, limit: int = 1000
    ) -> tuple[list[AttemptRecord], int | None]:
        """Each try on record, the first one first, and the number to go on after, None on the last page."""
        with self._database.reading() as connection:
            self.read(connection, identifier)
            found = keeping.read(connection, self._kind.singular, identifier, after=after, limit=limit + 1)
        return found[:limit], found[limit - 1].attempt if len(found) > limit else None

    def failed_attempts(self, identifier: str) -> list[tuple[str, bool]]:
        """Of the attempts since somebody last asked for one: each failure's class, and whether it counted."""
        events = self._kind.events
        asked = (self._kind.owner == identifier, events.c.from_state.in_(ENDED))
        with self._database.reading() as connection:
            since = connection.scalar(select(func.max(events.c.attempt)).where(*asked))
            return keeping.failed(connection, self._kind.singular, identifier, since=since or 1)

    def in_states(
        self, *states: State, limit: int | None = None, cancel_requested: bool | None = None
    ) -> list[Row]:
        """Rows in one of `states` whose job is theirs, oldest first; with or without a wish to cancel."""
        query = select(self._table).where(self._table.c.state.in_(states), self._own_job)
        if cancel_requested is not None:
            wished = self._table.c.cancel_requested_at
            query = query.where(wished.is_not(None) if cancel_requested else wished.is_(None))
        return self.select(query.order_by(self._table.c.created_at, self._table.c.id).limit(limit))

    def set_aside(self) -> list[Row]:
        """Rows without a job that are to be cancelled, or that wait and are to be paused; oldest first."""
        table = self._table
        cancelled = and_(
            table.c.state.in_((State.QUEUED, State.PAUSED)), table.c.cancel_requested_at.is_not(None)
        )
        paused = and_(table.c.state == State.QUEUED, table.c.pause_requested_at.is_not(None))
        query = select(table).where(or_(cancelled, paused), self._own_job)
        return self.select(query.order_by(table.c.created_at, table.c.id))

    def queued(self, *, limit: int) -> list[Row]:
        """Rows to submit, oldest first."""
        return self.in_states(State.QUEUED, cancel_requested=False, limit=limit)

    def news(self, after: Mapping[str, int]) -> tuple[dict[str, tuple[State, int]], list[tuple[str, Event]]]:
        """State and attempt of the rows that `after` names, and their events beyond the id given for each.

        Two questions, however many rows; at most `_NEWS` events, the rest the next time.
        """
        if not after:
            return {}, []
        events, owner, table = self._kind.events, self._kind.owner, self._table
        named = list(after)
        here = select(table.c.id, table.c.state, table.c.attempt).where(table.c.id.in_(named))
        beyond = events.c.id > literal(min(after.values()), BigInteger())
        happened = select(events).where(owner.in_(named), beyond).order_by(events.c.id).limit(_NEWS)
        with self._database.reading() as connection:
            # Events first: a row seen to have ended has no event behind those that were read before it.
            rows = [row._asdict() for row in connection.execute(happened)]
            states = {each.id: (State(each.state), each.attempt) for each in connection.execute(here)}
        found = [(row.pop(owner.name), row) for row in rows]
        return states, [(who, Event.from_row(row)) for who, row in found if row["id"] > after[who]]

    def by_state(self) -> dict[State, int]:
        """How many rows are in each state; those that are not there are left out."""
        counted = select(self._table.c.state, func.count()).group_by(self._table.c.state)
        with self._database.reading() as connection:
            return {State(state): number for state, number in connection.execute(counted)}

    def waiting(self, *, most: int) -> int:
        """How many rows wait to be submitted, counted up to `most`."""
        here = select(literal(1)).where(self._table.c.state == State.QUEUED, self._own_job).limit(most)
        with self._database.reading() as connection:
            return int(connection.scalar(select(func.count()).select_from(here.subquery())) or 0)

    def busy(self) -> int:
        """How many rows have a job of theirs, and so take a place each."""
        here = select(func.count()).where(self._table.c.state.in_(WITH_JOB), self._own_job)
        with self._database.reading() as connection:
            return int(connection.scalar(here) or 0)

    def with_mlflow_due(self, *, limit: int | None) -> list[Row]:
        """Rows whose MLflow run has still to be given its final status."""
        due = select(self._table).where(self._table.c.mlflow_status_due.is_not(None))
        return self.select(due.order_by(self._table.c.updated_at).limit(limit))

    # ------------------------------------------------ for the store's own transactions

    def select(self, query: Select[Any], **values: Any) -> list[Row]:
        """The rows of a query over all columns of the table; `values` of its parameters, where it has any."""
        with self._database.reading() as connection:
            rows = connection.execute(query, values)
            names = tuple(rows.keys())
            return [self._kind.record.from_row(dict(zip(names, row, strict=True))) for row in rows]

    def read(self, connection: Connection, identifier: str, *, lock: bool = False) -> Row:
        """The row, within a transaction."""
        if "\0" in identifier:
            raise self._kind.unknown(identifier)  # Postgres would refuse the question
        query = self._one.with_for_update() if lock else self._one
        row = connection.execute(query, {"identifier": identifier}).one_or_none()
        if row is None:
            gone = deletion_of(connection, self._kind.word, identifier)
            raise self._kind.unknown(identifier, "" if gone is None else told(gone))
        return self._kind.record.from_row(row._asdict())
