"""The record of changes as administrators read it: newest first, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, literal, select

from service.shared.access.deeds import Action, Subject
from service.store.database import Database
from service.store.records import BadCursor
from service.store.tables import audit
from service.store.trail.deeds import Deed, note_deed


@dataclass(frozen=True)
class DeedFilters:
    """What the list is narrowed to; an empty field narrows nothing."""

    actors: Sequence[str] = ()
    actions: Sequence[Action] = ()
    kinds: Sequence[Subject] = ()
    subjects: Sequence[str] = ()


class AuditTrail:
    """All reads of it, and what changes no other row. Any thread may call it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, filters: DeedFilters, *, cursor: str | None, limit: int) -> tuple[list[Deed], str | None]:
        """Changes, newest first, and the cursor of the next page. Raises BadCursor."""
        query = select(audit)
        for column, wanted in (
            (audit.c.actor, filters.actors),
            (audit.c.action, filters.actions),
            (audit.c.kind, filters.kinds),
            (audit.c.subject, filters.subjects),
        ):
            if wanted:
                query = query.where(column.in_(wanted))
        if cursor is not None:
            query = query.where(audit.c.id < literal(_number(cursor), BigInteger()))
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(audit.c.id.desc()).limit(limit + 1)).all()
        found = [Deed(**row._asdict()) for row in rows[:limit]]
        return found, str(found[-1].id) if len(rows) > limit else None

    def note(self, action: Action, kind: Subject, subject: str | None, *, now: datetime, detail: str) -> None:
        """Records what somebody asks for that changes no row, such as files that go."""
        with self._database.writing() as connection:
            note_deed(connection, action, kind, subject, at=now, detail=detail)


def _number(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) <= 18):
        raise BadCursor(cursor)
    return int(cursor)
