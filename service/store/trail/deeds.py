"""Who asked for which change: written with the change itself, in its transaction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, insert, select

from service.shared.access.acting import Acting, acting
from service.shared.access.deeds import Action, Subject
from service.store.tables import audit

DELETE: Literal["delete"] = "delete"


@dataclass(frozen=True, kw_only=True)
class Deed:
    """One change that somebody asked for. `subject` is the id of what was changed, if it has one."""

    id: int
    at: datetime
    actor: str | None
    action: str
    kind: str
    subject: str | None = None
    request: str | None = None
    detail: str | None = None


def note_deed(
    connection: Connection,
    action: Action,
    kind: Subject,
    subject: str | None,
    *,
    at: datetime,
    detail: str | None = None,
) -> None:
    """Records, within the transaction of the change, who asks for it.

    Where nobody does, as in the reconciler, nothing is recorded; but what was deleted always is.
    """
    note_deeds(connection, [deed_row(action, kind, subject, at=at, detail=detail)])


def deed_row(
    action: Action, kind: Subject, subject: str | None, *, at: datetime, detail: str | None = None
) -> dict[str, Any] | None:
    """What is recorded of a change for which this thread works, None where nothing is."""
    who = acting()
    if who is None and action == DELETE:
        who = Acting(None, "")
    if who is None:
        return None
    whose = {"actor": who.actor, "request": who.request or None}
    return {"at": at, "action": action, "kind": kind, "subject": subject, "detail": detail, **whose}


def note_deeds(connection: Connection, rows: Iterable[dict[str, Any] | None]) -> None:
    """Records those that are to be, within the transaction of the changes."""
    found = [row for row in rows if row is not None]
    if found:
        connection.execute(insert(audit), found)


def told(deletion: Deed) -> str:
    """When it was deleted and by whom, to follow what names it."""
    by = f" by {deletion.actor}" if deletion.actor else ""
    return f"it was deleted{by} at {deletion.at:%Y-%m-%d %H:%M} UTC"


def deletion_of(connection: Connection, kind: str, subject: str) -> Deed | None:
    """How it went, if it was there once and somebody deleted it."""
    same = (audit.c.subject == subject, audit.c.action == DELETE, audit.c.kind == kind)
    row = connection.execute(select(audit).where(*same).order_by(audit.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else Deed(**row._asdict())
