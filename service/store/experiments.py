"""Experiments: every query about them. What all rows share is the ledger's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, Select, bindparam, func, select, update

from service.shared.states import LIVE, State
from service.store.attempts.keeping import recorded, replace_all
from service.store.attempts.values import AttemptRecord
from service.store.changes import changes_of, event
from service.store.database import Database, Lead
from service.store.experiment_rows import ExperimentRows
from service.store.followups import FollowupStore
from service.store.jobs import Ledger
from service.store.keeping.removal import Removals
from service.store.keeping.standings import Standings
from service.store.queue.lines import Kind, QueueLines
from service.store.records import NOTHING, Conflict, Experiment, Filters, Move, StoreUnavailable
from service.store.schema import refuse_newer, refuse_older, schema_in
from service.store.sweeps import SweepStore
from service.store.tables import experiments, tags
from service.store.tokens import TokenStore
from service.store.trail.audit import AuditTrail
from service.store.trail.deeds import note_deed

_LIKE = (
    # Not which it may be: SQLite would read the index of states, with very many rows in each.
    experiments.c.state.not_in([State.FAILED, State.CANCELLED, State.PAUSED]),
    experiments.c.cancel_requested_at.is_(None),
    experiments.c.pause_requested_at.is_(None),
)
# Of each POST: made once.
_OF_HASH = (
    select(experiments.c.spec_hash, experiments.c.id, experiments.c.state)
    .where(experiments.c.spec_hash == bindparam("only"), *_LIKE)
    .order_by(experiments.c.created_at.desc())
    .limit(bindparam("limit", type_=Integer))
)
_HASHES_AT_ONCE = 500


def _of_hashes() -> Select[Any]:
    """The same of many, with the limit for each: of a sweep's trials."""
    newest = func.row_number().over(
        partition_by=experiments.c.spec_hash, order_by=experiments.c.created_at.desc()
    )
    of_these = experiments.c.spec_hash.in_(bindparam("hashes", expanding=True))
    placed = select(
        experiments.c.spec_hash, experiments.c.id, experiments.c.state, newest.label("place")
    ).where(of_these, *_LIKE)
    ranked = placed.subquery()
    few = ranked.c.place <= bindparam("limit", type_=Integer)
    return select(ranked.c.spec_hash, ranked.c.id, ranked.c.state).where(few).order_by(ranked.c.place)


_OF_HASHES = _of_hashes()


class Store(ExperimentRows):
    """All reads and writes, on SQLite or Postgres. Any thread may call it.

    `sweeps` has those of sweeps, `followups` those of follow-ups, `tokens` those of tokens, `queue` those of
    all that waits, `removals` deletes, `standings` say what may go,
    `audit` has who asked for what.
    """

    def __init__(self, url: str) -> None:
        super().__init__(Database(url))
        self.sweeps = SweepStore(self._database)
        self.followups = FollowupStore(self._database)
        self.tokens = TokenStore(self._database)
        self.ledgers: Mapping[Kind, Ledger[Any]] = {
            "experiment": self,
            "sweep": self.sweeps,
            "followup": self.followups,
        }
        self.queue = QueueLines(self._database)
        self.removals = Removals(self._database, self, self.sweeps, self.followups)
        self.standings = Standings(self._database, self.followups)
        self.audit = AuditTrail(self._database)

    def close(self) -> None:
        self._database.close()

    def leadership(self) -> AbstractContextManager[Lead]:
        """See `Database.leadership`."""
        return self._database.leadership()

    def ping(self) -> None:
        """Returns if the database answers and has our tables; after an upgrade it may have others besides.

        Raises:
            StoreUnavailable: with the database's own words; SchemaRefused: with the command to run.
        """
        with self._database.reading() as connection:
            refuse_older(schema_in(connection))

    def refusal(self) -> str | None:
        """See `Database.refusal`."""
        return self._database.refusal

    def ask_again(self) -> None:
        """See `Database.ask_again`."""
        self._database.ask_again()

    def refuse_schema(self) -> None:
        """Returns if the schema is this version's, or nobody answers: `ping` will say so.

        Raises:
            SchemaRefused: it is older or newer; with what to do.
        """
        try:
            with self._database.reading() as connection:
                found = schema_in(connection)
        except StoreUnavailable:
            return
        refuse_newer(found)
        refuse_older(found)

    def page(
        self, filters: Filters, *, cursor: str | None, limit: int
    ) -> tuple[list[Experiment], str | None]:
        """Experiments, newest first, and the cursor of the next page.

        Raises:
            BadCursor: `cursor` is not one of ours.
        """
        return self.listed(_conditions(filters), cursor=cursor, limit=limit)

    def _changes_of_retry(self, row: Experiment) -> dict[str, Any]:
        """A trial gets a job of its own."""
        return {"detached": row.sweep_id is not None, "stopped": False}

    def of_hashes(self, hashes: Sequence[str], *, limit: int) -> list[list[tuple[str, State]]]:
        """For each spec the ids and states of its experiments, newest first: of those that completed, or go
        on and are not to be stopped.
        """
        found: dict[str, list[tuple[str, State]]] = {each: [] for each in hashes}
        wanted = list(found)
        with self._database.reading() as connection:
            for start in range(0, len(wanted), _HASHES_AT_ONCE):
                some = wanted[start : start + _HASHES_AT_ONCE]
                query, of = (
                    (_OF_HASH, {"only": some[0]}) if len(some) == 1 else (_OF_HASHES, {"hashes": some})
                )
                for row in connection.execute(query, {**of, "limit": limit}):
                    found[row.spec_hash].append((row.id, State(row.state)))
        return [found[each] for each in hashes]

    def last_started(self) -> str | None:
        """Id of the newest experiment whose job was seen running."""
        query = select(experiments.c.id).where(experiments.c.started_at.is_not(None))
        with self._database.reading() as connection:
            found: str | None = connection.scalar(query.order_by(experiments.c.created_at.desc()).limit(1))
        return found

    # ------------------------------------------------------------------ pause

    def request_pause(self, identifier: str, *, now: datetime) -> Experiment:
        """Notes that somebody wants it to rest; asked twice, the first time stays.

        Raises:
            Conflict: it has ended, is to be cancelled, or is a trial that its sweep runs.
        """
        with self._database.writing() as connection:
            here = self._pausable(connection, identifier)
            if here.cancel_requested_at is not None:
                raise Conflict(f"experiment {identifier} is {here.state}, with a cancel still pending")
            if here.pause_requested_at is None:
                self.write(connection, identifier, pause_requested_at=now, updated_at=now)
                note_deed(connection, "pause", "experiment", identifier, at=now)
            return self.read(connection, identifier)

    def resume(self, identifier: str, *, newest: int, now: datetime) -> Experiment:
        """Queues one that is paused; of one that is only to be paused, the wish is taken back.

        `newest`: the highest attempt that has a directory, as storage said before: it may be more by now. One
        that was begun, as storage or the record says, is followed by the next; one that never was is to come.

        Raises:
            Conflict: as for `request_pause`; of one that is not to rest nothing changes.
        """
        with self._database.writing() as connection:
            here = self._pausable(connection, identifier)
            if here.pause_requested_at is None:
                return here
            if here.cancel_requested_at is not None:
                raise Conflict(f"experiment {identifier} is {here.state}, with a cancel still pending")
            told = event(identifier, now, here.attempt, here.state, here.state, "the pause was taken back")
            changes: dict[str, Any] = {"updated_at": now}
            if here.state is State.PAUSED:
                begun = newest >= here.attempt or recorded(connection, "experiment", identifier, here.attempt)
                attempt = max(newest, here.attempt) + 1 if begun else here.attempt
                told = event(identifier, now, attempt, here.state, State.QUEUED, "resumed on request")
                changes = changes_of(here, State.QUEUED, now, NOTHING) | {"attempt": attempt}
            self.write(connection, identifier, **changes, pause_requested_at=None)
            self.record(connection, [told])
            note_deed(connection, "resume", "experiment", identifier, at=now)
            return self.read(connection, identifier)

    def _pausable(self, connection: Connection, identifier: str) -> Experiment:
        here = self.read_live(connection, identifier)
        if here.sweep_id is not None and not here.detached:
            raise Conflict(
                f"experiment {identifier} is trial {here.trial} of sweep {here.sweep_id}, whose job runs it; "
                f"only the whole sweep can be paused: rebalance sweep pause {here.sweep_id}"
            )
        return here

    # ------------------------------------------------------------------ trials of sweeps

    def trials(
        self,
        sweep_id: str,
        *,
        states: Sequence[State] = (),
        numbers: Sequence[int] | None = None,
        following: bool = False,
        limit: int | None = None,
    ) -> list[Experiment]:
        """A sweep's trials by number; in `states`, of `numbers`, and not detached, where asked."""
        query = select(experiments).where(experiments.c.sweep_id == sweep_id)
        if states:
            query = query.where(experiments.c.state.in_(states))
        if numbers is not None:
            query = query.where(experiments.c.trial.in_(numbers))
        if following:
            query = query.where(~experiments.c.detached)
        return self.select(query.order_by(experiments.c.trial).limit(limit))

    def trials_to_stop(self, sweep_id: str) -> list[str]:
        """Ids of trials that somebody wants cancelled and that have not ended."""
        query = select(experiments.c.id).where(
            experiments.c.sweep_id == sweep_id,
            experiments.c.state.in_(LIVE),
            ~experiments.c.detached,
            experiments.c.cancel_requested_at.is_not(None),
        )
        with self._database.reading() as connection:
            return list(connection.scalars(query))

    def follow(self, moves: Sequence[Move], *, now: datetime) -> int:
        """Takes trials through their steps, in one transaction, and counts them; one not as seen stays."""
        gone = 0
        with self._database.writing() as connection:
            happened: list[dict[str, Any]] = []
            tried: dict[str, Sequence[AttemptRecord]] = {}
            for move in moves:
                row, state = move.row, move.row.state
                last = move.steps[-1][0]
                changes = changes_of(row, last, now, move.outcome) | {"attempt": move.attempt}
                same = (experiments.c.id == row.id, experiments.c.state == state, ~experiments.c.detached)
                if connection.execute(update(experiments).where(*same).values(changes)).rowcount == 0:
                    continue
                gone += 1
                for to, reason in move.steps:
                    happened.append(event(row.id, now, move.attempt, state, to, reason))
                    state = to
                tried[row.id] = move.tried
            if happened:
                self.record(connection, happened)
            replace_all(connection, self._kind.singular, tried)
        return gone


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    for column, wanted in (
        (experiments.c.state, filters.states),
        (experiments.c.method, filters.methods),
        (experiments.c.dataset, filters.datasets),
        (experiments.c.sweep_id, filters.sweeps),
        (experiments.c.owner, filters.owners),
        (experiments.c.project, filters.projects),
    ):
        if wanted:
            conditions.append(column.in_(wanted))
    for key, value in filters.tags:
        tagged = select(tags.c.experiment_id).where(tags.c.key == key)
        if value is not None:
            tagged = tagged.where(tags.c.value == value)
        conditions.append(experiments.c.id.in_(tagged))
    return conditions
