"""The record of attempts: written in the transaction of the step that it is about, read by who asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Table,
    and_,
    bindparam,
    insert,
    literal,
    select,
    update,
)

from service.shared.states import State
from service.store.attempts.values import AttemptRecord, Tried
from service.store.tables import attempts

_NAMES = tuple(each.name for each in fields(AttemptRecord))


def kind_of(table: Table) -> str:
    """What the record calls the rows of a table: experiment, sweep or followup."""
    return table.name.removesuffix("s")


class Trying(Protocol):
    """A row with an attempt, as it was before a step."""

    @property
    def id(self) -> str: ...
    @property
    def attempt(self) -> int: ...
    @property
    def job_id(self) -> str: ...
    @property
    def job_status(self) -> str | None: ...
    @property
    def updated_at(self) -> datetime: ...
    @property
    def admitted_at(self) -> datetime | None: ...


def note_step(
    connection: Connection,
    kind: str,
    row: Trying,
    step: tuple[State, State],
    *,
    reason: str,
    now: datetime,
    tried: Tried,
) -> None:
    """Keeps what a step of `row`, of one state to another, says of its attempt, if anything.

    Args:
        connection: within the transaction of the step.
        kind: what the row is: experiment, sweep or followup.
    """
    left, to = step
    if to is State.SUBMITTED:
        _write(
            connection, kind, row, {"submitted_at": now, "log": tried.log, "ended_at": None, "reason": reason}
        )
    elif to is State.RUNNING:
        _write(connection, kind, row, {"started_at": now})
    elif left.has_job:
        told = {name: value for name, value in asdict(tried).items() if value is not None}
        ended = {"ended_at": now, "job_status": row.job_status, "reason": reason}
        _write(connection, kind, row, {**ended, **told})


def _write(connection: Connection, kind: str, row: Trying, changes: dict[str, Any]) -> None:
    same = and_(attempts.c.owner_id == row.id, attempts.c.kind == kind, attempts.c.attempt == row.attempt)
    if connection.execute(update(attempts).where(same).values(changes)).rowcount:
        return
    # The first that is heard of it; of one that was begun before attempts were recorded, what is known.
    begun = {"submitted_at": row.admitted_at or row.updated_at, "job_id": row.job_id}
    whose = {"owner_id": row.id, "kind": kind, "attempt": row.attempt}
    connection.execute(insert(attempts).values(whose | begun | changes))


def keep(connection: Connection, kind: str, owner: str, found: Sequence[AttemptRecord]) -> None:
    """Records attempts that others tell of, instead of what is on record of the owner, if anything."""
    connection.execute(attempts.delete().where(attempts.c.kind == kind, attempts.c.owner_id == owner))
    if found:
        rows = [{"kind": kind, "owner_id": owner, **asdict(each)} for each in found]
        connection.execute(insert(attempts), rows)


def replace_all(connection: Connection, kind: str, found: Mapping[str, Sequence[AttemptRecord]]) -> None:
    """Records attempts by their owner, instead of what is on record of these attempts."""
    rows = [{"kind": kind, "owner_id": who, **asdict(each)} for who, its in found.items() for each in its]
    if not rows:
        return
    same = (attempts.c[name] == bindparam(f"its_{name}") for name in ("owner_id", "kind", "attempt"))
    here = [{f"its_{name}": row[name] for name in ("owner_id", "kind", "attempt")} for row in rows]
    connection.execute(attempts.delete().where(*same), here)
    connection.execute(insert(attempts), rows)


def read(
    connection: Connection, kind: str, owner: str, *, after: int = 0, limit: int | None = None
) -> list[AttemptRecord]:
    """An owner's attempts with numbers beyond `after`, the first one first."""
    beyond = attempts.c.attempt > literal(after, BigInteger())  # a caller's number, maybe larger than any
    mine = (attempts.c.owner_id == owner, attempts.c.kind == kind, beyond)
    query = select(*(attempts.c[name] for name in _NAMES)).where(*mine).order_by(attempts.c.attempt)
    return [AttemptRecord(**row) for row in connection.execute(query.limit(limit)).mappings()]


def recorded(connection: Connection, kind: str, owner: str, attempt: int) -> bool:
    """Whether this attempt was ever handed to the cluster, as far as that was recorded."""
    mine = (attempts.c.owner_id == owner, attempts.c.kind == kind, attempts.c.attempt == attempt)
    return connection.execute(select(attempts.c.attempt).where(*mine)).first() is not None


def forget(connection: Connection, table: Table, which: ColumnElement[bool]) -> None:
    """Removes the records of rows that are removed next: those of `table` that `which` holds for."""
    mine = select(table.c.id).where(which)
    same = (attempts.c.kind == kind_of(table), attempts.c.owner_id.in_(mine))
    connection.execute(attempts.delete().where(*same))


def failed(connection: Connection, kind: str, owner: str, *, since: int) -> list[tuple[str, bool]]:
    """Of the attempts from number `since` on that failed: the error's class, and whether it was counted."""
    mine = (attempts.c.owner_id == owner, attempts.c.kind == kind, attempts.c.attempt >= since)
    query = select(attempts.c.error_type, attempts.c.counted).where(*mine, attempts.c.error_type.is_not(None))
    return [(error, counted) for error, counted in connection.execute(query)]
