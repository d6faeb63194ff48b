"""Rows that somebody deletes, with all that hangs on them: what stands in the way, then one transaction."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, delete, select

from service.store.attempts.keeping import forget
from service.store.database import Database
from service.store.experiment_rows import ExperimentRows
from service.store.followups import FollowupStore
from service.store.records import Conflict, Experiment, Followup, JobRow, Sweep
from service.store.sweeps import SweepStore
from service.store.tables import experiments, followups, sweeps
from service.store.trail.deeds import DELETE, note_deed

_NAMED = 5  # ids in a message


class Removals:
    """Deletes rows that have ended; of each stays who asked for it, and when. Any thread may call it."""

    def __init__(
        self, database: Database, rows: ExperimentRows, sweeps_: SweepStore, followups_: FollowupStore
    ) -> None:
        self._database = database
        self._experiments = rows
        self._sweeps = sweeps_
        self._followups = followups_

    def experiment(self, identifier: str, *, now: datetime, detail: str) -> Experiment:
        """The experiment that was there, with its follow-ups; `detail` is told of it on record.

        Raises:
            UnknownExperiment: there is none of this id.
            Conflict: it has not ended, is a trial, or something that has not ended needs it.
        """
        with self._database.writing() as connection:
            row = self._experiments.read(connection, identifier, lock=True)
            self._refuse_experiment(connection, row)
            forget(connection, followups, followups.c.experiment_id == row.id)
            forget(connection, experiments, experiments.c.id == row.id)
            connection.execute(delete(experiments).where(experiments.c.id == row.id))
            note_deed(connection, DELETE, "experiment", row.id, at=now, detail=_told(row, detail))
        return row

    def sweep(self, identifier: str, *, now: datetime, detail: str) -> Sweep:
        """The sweep that was there, with its trials and their follow-ups. Raises UnknownSweep, Conflict."""
        mine = experiments.c.sweep_id == identifier
        trials = select(experiments.c.id).where(mine)
        with self._database.writing() as connection:
            row = self._sweeps.read(connection, identifier, lock=True)
            connection.execute(trials.with_for_update()).all()  # nobody adds a follow-up from here on
            self._refuse_sweep(connection, row)
            forget(connection, followups, followups.c.experiment_id.in_(trials))
            forget(connection, experiments, mine)
            forget(connection, sweeps, sweeps.c.id == row.id)
            number = connection.execute(delete(experiments).where(mine)).rowcount
            connection.execute(delete(sweeps).where(sweeps.c.id == row.id))
            told = _told(row, f"with {number} trials{detail and ', '}{detail.removeprefix('with ')}")
            note_deed(connection, DELETE, "sweep", row.id, at=now, detail=told)
        return row

    def followup(self, identifier: str, *, now: datetime, detail: str) -> Followup:
        """The follow-up that was there. Raises UnknownFollowup, Conflict."""
        with self._database.writing() as connection:
            row = self._followups.read(connection, identifier, lock=True)
            _refuse_live("follow-up", row)
            forget(connection, followups, followups.c.id == row.id)
            connection.execute(delete(followups).where(followups.c.id == row.id))
            note_deed(connection, DELETE, "follow-up", row.id, at=now, detail=_told(row, detail))
        return row

    # ------------------------------------------------ what stands in the way

    def check_experiment(self, identifier: str) -> Experiment:
        """The experiment, if it may go now. Raises UnknownExperiment, Conflict."""
        with self._database.reading() as connection:
            row = self._experiments.read(connection, identifier)
            self._refuse_experiment(connection, row)
        return row

    def check_sweep(self, identifier: str) -> Sweep:
        """The sweep, if it may go now. Raises UnknownSweep, Conflict."""
        with self._database.reading() as connection:
            row = self._sweeps.read(connection, identifier)
            self._refuse_sweep(connection, row)
        return row

    def check_followup(self, identifier: str) -> Followup:
        """The follow-up, if it may go now. Raises UnknownFollowup, Conflict."""
        row = self._followups.get(identifier)
        _refuse_live("follow-up", row)
        return row

    def _refuse_experiment(self, connection: Connection, row: Experiment) -> None:
        """Raises Conflict where it may not go yet, by what this transaction sees: others may share it."""
        _refuse_live("experiment", row)
        if row.sweep_id is not None:
            raise Conflict(
                f"experiment {row.id} is trial {row.trial} of sweep {row.sweep_id}, whose table needs it; "
                "delete the sweep"
            )
        readers = self._followups.readers(connection, {row.id})
        _refuse_needed(f"experiment {row.id} is", [each.id for each in readers])
        _refuse_continued(row.id, self._experiments.continuing(connection, experiments.c.id == row.id))

    def _refuse_sweep(self, connection: Connection, row: Sweep) -> None:
        _refuse_live("sweep", row)
        if live := self._sweeps.live_trials(connection, row.id):
            raise Conflict(
                f"{_some(live)} of sweep {row.id} {'has' if len(live) == 1 else 'have'} not ended; "
                "cancel what still runs first"
            )
        mine = experiments.c.sweep_id == row.id
        readers = self._followups.readers(
            connection, set(connection.scalars(select(experiments.c.id).where(mine)))
        )
        _refuse_needed(f"trials of sweep {row.id} are", [each.id for each in readers])
        _refuse_continued(row.id, self._experiments.continuing(connection, mine))


def _refuse_live(word: str, row: JobRow) -> None:
    if not row.state.ended:
        raise Conflict(f"{word} {row.id} is {row.state}; only what has ended can be deleted: cancel it first")


def _refuse_needed(what: str, readers: Collection[str]) -> None:
    if readers:
        raise Conflict(f"{what} read by {_some(readers)}, which has not ended; cancel it first, or wait")


def _refuse_continued(identifier: str, by: Collection[str]) -> None:
    if by:
        raise Conflict(
            f"{identifier} is continued by {_some(by)}, whose course begins there; delete that first"
        )


def _some(ids: Collection[str]) -> str:
    named = ", ".join(sorted(ids)[:_NAMED])
    return named if len(ids) <= _NAMED else f"{named} and {len(ids) - _NAMED} more"


def _told(row: JobRow, detail: str) -> str:
    return f"{row.name}, {row.state}{detail and ', '}{detail}"
