"""Sweeps: every query about them, and those that count or add their trials."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, func, select, true

from service.shared.states import ENDED, LIVE, State
from service.store.attempts.values import AttemptRecord
from service.store.changes import changes_of_another, event
from service.store.database import Database
from service.store.experiment_rows import ExperimentRows
from service.store.jobs import Ledger
from service.store.records import (
    Conflict,
    Experiment,
    Filters,
    StateCount,
    Sweep,
    Tagged,
    UnknownSweep,
)
from service.store.rows import Kind
from service.store.tables import experiments, sweep_events, sweeps
from service.store.trail.deeds import note_deed

_SWEEPS = Kind("sweep", sweeps, sweep_events, sweep_events.c.sweep_id, Sweep, UnknownSweep)
_AT_ONCE = 1000  # rows a statement


class SweepStore(Ledger[Sweep]):
    """All reads and writes of sweeps. Any thread may call it."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, _SWEEPS, own_job=true())
        self._trials = ExperimentRows(database)

    def page(self, filters: Filters, *, cursor: str | None, limit: int) -> tuple[list[Sweep], str | None]:
        """Sweeps in some states, of some owners and projects, newest first, and the cursor of the next page.

        Raises:
            BadCursor: `cursor` is not one of ours.
        """
        wanted = (
            (sweeps.c.state, filters.states),
            (sweeps.c.owner, filters.owners),
            (sweeps.c.project, filters.projects),
        )
        conditions = [column.in_(values) for column, values in wanted if values]
        return self.listed(conditions, cursor=cursor, limit=limit)

    def create(
        self,
        new: Sweep,
        trials: Sequence[Tagged],
        *,
        reason: str = "stored",
        attempts: Sequence[AttemptRecord] = (),
    ) -> Sweep:
        """Stores `new` with all its trials, or gives the sweep that has its idempotency key.

        `attempts`: of one that was run before it has a row.
        """

        def write(connection: Connection) -> None:
            self.insert(connection, [new], reason)
            for start in range(0, len(trials), _AT_ONCE):
                part = trials[start : start + _AT_ONCE]
                self._trials.insert_tagged(connection, part, f"{reason} with sweep {new.id}")
            if attempts:
                self.keep_attempts(connection, new.id, attempts)

        return self.store_once(new, write)

    def add_trials(self, sweep: Sweep, trials: Sequence[Tagged]) -> None:
        """Stores trials that the search has drawn since."""
        with self._database.writing() as connection:
            self._trials.insert_tagged(connection, trials, f"drawn by sweep {sweep.id}")

    def pause(self, sweep_id: str, *, paused: bool, now: datetime) -> Sweep:
        """Notes that no more trials shall start, or that they shall again.

        Raises:
            Conflict: it has ended.
        """
        with self._database.writing() as connection:
            here = self.read_live(connection, sweep_id)
            if here.paused is not paused:
                self.write(connection, sweep_id, paused=paused, updated_at=now)
                note_deed(connection, "pause" if paused else "resume", "sweep", sweep_id, at=now)
            return self.read(connection, sweep_id)

    def extend(
        self, seen: Sweep, grown: Sweep, trials: Sequence[Tagged], *, reason: str, now: datetime
    ) -> Sweep:
        """Queues one that completed again, as `grown`, with more trials; those never begun wait again.

        Raises:
            Conflict: it did not complete, or somebody was faster.
        """
        with self._database.writing() as connection:
            here = self.read(connection, seen.id, lock=True)
            if here.attempt != seen.attempt or here.state is not State.COMPLETED:
                raise Conflict(f"sweep {seen.id} is {here.state} in attempt {here.attempt} by now")
            names = ("spec", "spec_hash", "gpus", "cpus", "most_gpus", "most_cpus")
            asked = {name: getattr(grown, name) for name in names}
            changes = changes_of_another(sweeps.c.keys(), grown.attempt, now) | asked | {"paused": False}
            self.write(connection, seen.id, **changes)
            self.record(connection, [event(seen.id, now, grown.attempt, here.state, State.QUEUED, reason)])
            note_deed(connection, "extend", "sweep", seen.id, at=now, detail=reason)
            self._trials.reopen(connection, seen.id, reason="its sweep was extended", now=now)
            for start in range(0, len(trials), _AT_ONCE):
                part = trials[start : start + _AT_ONCE]
                self._trials.insert_tagged(connection, part, f"added to sweep {seen.id}")
            return self.read(connection, seen.id)

    def of_hash(self, spec_hash: str, *, limit: int) -> list[tuple[str, State]]:
        """Ids and states of sweeps of this document, newest first: of those that completed, or go on and are
        not to be stopped.
        """
        here = (
            sweeps.c.spec_hash == spec_hash,
            sweeps.c.state.not_in([State.FAILED, State.CANCELLED]),
            sweeps.c.cancel_requested_at.is_(None),
            ~sweeps.c.paused,
        )
        query = select(sweeps.c.id, sweeps.c.state).where(*here).order_by(sweeps.c.created_at.desc())
        with self._database.reading() as connection:
            return [(row.id, State(row.state)) for row in connection.execute(query.limit(limit))]

    def queued(self, *, limit: int) -> list[Sweep]:
        """Sweeps to submit, oldest first, those left out that are paused."""
        ready = select(sweeps).where(
            sweeps.c.state == State.QUEUED, ~sweeps.c.paused, sweeps.c.cancel_requested_at.is_(None)
        )
        return self.select(ready.order_by(sweeps.c.created_at, sweeps.c.id).limit(limit))

    def trial_states(self, sweep_id: str) -> dict[int, State]:
        """The state of every trial by its number."""
        query = select(experiments.c.trial, experiments.c.state).where(experiments.c.sweep_id == sweep_id)
        with self._database.reading() as connection:
            return {number: State(state) for number, state in connection.execute(query)}

    def counts(self, sweep_ids: Sequence[str]) -> list[StateCount]:
        """How many trials of each sweep are in each state."""
        columns = (experiments.c.sweep_id, experiments.c.state, experiments.c.stopped)
        query = select(*columns, func.count()).where(experiments.c.sweep_id.in_(sweep_ids)).group_by(*columns)
        with self._database.reading() as connection:
            return [
                StateCount(sweep, State(state), stopped, number)
                for sweep, state, stopped, number in connection.execute(query)
            ]

    def best(self, sweep_id: str, metric: str, direction: str) -> Experiment | None:
        """The completed trial with the best value of `metric`, None while there is none."""
        value = experiments.c.headline[metric].as_float()
        query = select(experiments).where(
            experiments.c.sweep_id == sweep_id, experiments.c.state == State.COMPLETED, value.is_not(None)
        )
        order = value.asc() if direction == "min" else value.desc()
        found = self._trials.select(query.order_by(order, experiments.c.trial).limit(1))
        return found[0] if found else None

    def live_trials(self, connection: Connection, sweep_id: str) -> list[str]:
        """Ids of its trials that have not ended, detached ones included, within a transaction."""
        query = select(experiments.c.id).where(
            experiments.c.sweep_id == sweep_id, experiments.c.state.in_(LIVE)
        )
        return list(connection.scalars(query))

    def unsettled(self, *, limit: int) -> list[Sweep]:
        """Sweeps that have ended while some trial that follows them has not."""
        live = select(experiments.c.sweep_id).where(
            experiments.c.state.in_(LIVE),
            experiments.c.sweep_id.is_not(None),
            ~experiments.c.detached,
        )
        ended = sweeps.c.state.in_(ENDED)
        return self.select(select(sweeps).where(ended, sweeps.c.id.in_(live)).limit(limit))
