"""Everything that waits for a job or has one, of all kinds, without specs; and why those wait that do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Table, bindparam, or_, select, true, update

from service.shared.states import WITH_JOB, State
from service.store.database import Database
from service.store.queue.pauses import rests_until
from service.store.tables import experiments, followups, sweeps

Kind = Literal["experiment", "sweep", "followup"]

_TABLES: dict[Kind, Table] = {"experiment": experiments, "sweep": sweeps, "followup": followups}
_COLUMNS = (
    *("id", "name", "state", "attempt", "created_at", "updated_at", "cancel_requested_at", "job_status"),
    *("job_since", "owner", "project", "priority", "preemptible", "max_wait", "max_duration", "gpus", "cpus"),
    *("most_gpus", "most_cpus", "queued_at", "admitted_at", "wait_reason", "preempt_requested_at"),
    "timeout_requested_at",
)
_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One row, as far as the queue looks at it: see `JobRow`. `paused`: it is, or is to be."""

    kind: Kind
    id: str
    name: str
    state: State
    attempt: int
    created_at: datetime
    updated_at: datetime
    cancel_requested_at: datetime | None
    job_status: str | None
    job_since: datetime | None
    owner: str | None
    project: str | None
    priority: int
    preemptible: bool
    max_wait: int | None
    max_duration: int | None
    gpus: float
    cpus: float
    most_gpus: float
    most_cpus: float
    queued_at: datetime | None
    admitted_at: datetime | None
    wait_reason: Mapping[str, Any] | None
    preempt_requested_at: datetime | None
    timeout_requested_at: datetime | None
    paused: bool

    @property
    def waits(self) -> bool:
        """Whether it is to begin as soon as it may."""
        return self.state is State.QUEUED and self.cancel_requested_at is None and not self.paused

    def waits_at(self, now: datetime) -> bool:
        """The same, once the pause after a failure is over."""
        until = rests_until(self.wait_reason)
        return self.waits and (until is None or until <= now)

    @property
    def since(self) -> datetime:
        """When it was queued for the last time, as far as that is known."""
        return self.queued_at or (self.created_at if self.attempt == 1 else self.updated_at)

    @property
    def leaving(self) -> bool:
        """Whether its job was told to end."""
        asked = (self.cancel_requested_at, self.preempt_requested_at, self.timeout_requested_at)
        return any(at is not None for at in asked) or (self.paused and self.kind != "sweep")


class QueueLines:
    """All reads and writes of the queue as a whole. Any thread may call it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def live(self) -> list[Line]:
        """Whatever waits for a job of its own, or has one, oldest first in each kind."""
        found: list[Line] = []
        with self._database.reading() as connection:
            for kind, table in _TABLES.items():
                paused = table.c.paused if kind == "sweep" else table.c.pause_requested_at.is_not(None)
                query = select(*(table.c[name] for name in _COLUMNS), paused.label("paused"))
                query = query.where(table.c.state.in_((State.QUEUED, *WITH_JOB)), _own_job(kind))
                for row in connection.execute(query.order_by(table.c.created_at, table.c.id)).mappings():
                    found.append(Line(**{**row, "kind": kind, "state": State(row["state"])}))
        return found

    def explain(self, reasons: Mapping[Kind, Mapping[str, Mapping[str, Any]]]) -> None:
        """Keeps why rows wait, by kind and id; of one that waits no more nothing is kept."""
        for kind, found in reasons.items():
            table = _TABLES[kind]
            changed = [{"row": identifier, "reason": dict(reason)} for identifier, reason in found.items()]
            waits = (table.c.id == bindparam("row"), table.c.state == State.QUEUED)
            query = update(table).where(*waits).values(wait_reason=bindparam("reason"))
            for start in range(0, len(changed), _AT_ONCE):
                with self._database.writing() as connection:
                    connection.execute(query, changed[start : start + _AT_ONCE])


def _own_job(kind: Kind) -> ColumnElement[bool]:
    if kind != "experiment":
        return true()
    return or_(experiments.c.sweep_id.is_(None), experiments.c.detached)
