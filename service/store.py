"""Every query. Changes of state go through `transition`, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, insert, or_, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service import tables
from service.records import (
    NOTHING,
    Conflict,
    Cursor,
    Event,
    Experiment,
    Filters,
    Outcome,
    StoreUnavailable,
    UnknownExperiment,
)
from service.states import State
from service.tables import events, experiments, tags


class Store:
    """All reads and writes, on SQLite or Postgres. Any thread may call it."""

    def __init__(self, url: str) -> None:
        self._engine = tables.make_engine(url)
        self._writer = tables.writing(self._engine)

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def leadership(self) -> Iterator[Callable[[], bool]]:
        """A question to repeat: are we the one reconciler of this database? Given up with the block."""
        lead = tables.Leadership(self._engine)

        def ours() -> bool:
            with _mapped_errors():
                return lead.acquire()

        try:
            yield ours
        finally:
            lead.release()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with _mapped_errors(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with _mapped_errors(), self._writer.begin() as connection:
            yield connection

    def ping(self) -> None:
        """Returns if the database answers and has our tables.

        Raises:
            StoreUnavailable: with the database's own words.
        """
        with self._reading() as connection:
            connection.execute(select(experiments.c.id).limit(1))

    # ------------------------------------------------------------------ reading

    def get(self, experiment_id: str) -> Experiment:
        """The experiment.

        Raises:
            UnknownExperiment: there is none of this id.
        """
        with self._reading() as connection:
            return _get(connection, experiment_id)

    def find_request(self, idempotency_key: str) -> Experiment | None:
        """The experiment stored under this key, if any."""
        found = select(experiments).where(experiments.c.idempotency_key == idempotency_key)
        with self._reading() as connection:
            row = connection.execute(found).one_or_none()
        return None if row is None else Experiment.from_row(row._asdict())

    def page(
        self, filters: Filters, *, cursor: str | None, limit: int
    ) -> tuple[list[Experiment], str | None]:
        """Experiments, newest first, and the cursor of the next page.

        Raises:
            BadCursor: `cursor` is not one of ours.
        """
        query = select(experiments).where(*_conditions(filters))
        if cursor is not None:
            here, at = Cursor.decode(cursor), experiments.c.created_at
            older = or_(at < here.created_at, and_(at == here.created_at, experiments.c.id < here.id))
            query = query.where(older)
        query = query.order_by(experiments.c.created_at.desc(), experiments.c.id.desc())
        rows = self._experiments(query.limit(limit + 1))
        more = len(rows) > limit
        last = rows[limit - 1] if more else None
        return rows[:limit], Cursor(last.created_at, last.id).encode() if last else None

    def history(self, experiment_id: str, *, after: int, limit: int) -> tuple[list[Event], int | None]:
        """Changes of state, oldest first, and the id to go on after, None on the last page.

        Raises:
            UnknownExperiment: there is none of this id.
        """
        mine = and_(events.c.experiment_id == experiment_id, events.c.id > after)
        with self._reading() as connection:
            _get(connection, experiment_id)
            rows = connection.execute(select(events).where(mine).order_by(events.c.id).limit(limit + 1)).all()
        found = [Event.from_row(row._asdict()) for row in rows[:limit]]
        return found, found[-1].id if len(rows) > limit else None

    def in_states(
        self, *states: State, limit: int | None = None, cancel_requested: bool | None = None
    ) -> list[Experiment]:
        """Experiments in one of `states`, oldest first; with or without a wish to cancel, where given."""
        query = select(experiments).where(experiments.c.state.in_(states))
        if cancel_requested is not None:
            wished = experiments.c.cancel_requested_at
            query = query.where(wished.is_not(None) if cancel_requested else wished.is_(None))
        return self._experiments(query.order_by(experiments.c.created_at, experiments.c.id).limit(limit))

    def with_mlflow_due(self, *, limit: int) -> list[Experiment]:
        """Experiments whose MLflow run has still to be given its final status."""
        due = select(experiments).where(experiments.c.mlflow_status_due.is_not(None))
        return self._experiments(due.order_by(experiments.c.updated_at).limit(limit))

    def _experiments(self, query: Select[Any]) -> list[Experiment]:
        with self._reading() as connection:
            return [Experiment.from_row(row._asdict()) for row in connection.execute(query)]

    # ------------------------------------------------------------------ writing

    def create(self, new: Experiment, *, new_tags: Mapping[str, str]) -> Experiment:
        """Stores `new` and its first event, or gives the experiment that has its idempotency key."""
        try:
            with self._writing() as connection:
                values = {column.name: getattr(new, column.name) for column in fields(new)}
                connection.execute(insert(experiments).values(values))
                rows = [{"experiment_id": new.id, "key": k, "value": v} for k, v in new_tags.items()]
                if rows:
                    connection.execute(insert(tags), rows)
                _record(connection, new.id, new.created_at, new.attempt, None, new.state, "stored")
        except IntegrityError:
            # Another request with the same key was faster; anything else is a mistake of ours.
            earlier = self.find_request(new.idempotency_key) if new.idempotency_key else None
            if earlier is None:
                raise
            return earlier
        return new

    def transition(
        self, seen: Experiment, *, to: State, reason: str, now: datetime, outcome: Outcome = NOTHING
    ) -> Experiment:
        """Moves the experiment to `to` and records why, in one transaction.

        Raises:
            Conflict: it is in no state that leads to `to`, or no longer in the attempt that was `seen`.
        """
        attempt = seen.attempt + 1 if to is State.QUEUED else seen.attempt
        changes: dict[str, Any] = {"state": to, "attempt": attempt, "updated_at": now, **outcome.columns()}
        if to in (State.QUEUED, State.SUBMITTED):
            changes |= {"job_status": None, "job_since": None}
        if to is State.RUNNING:
            changes["started_at"] = now
        if seen.started_at is not None:
            changes["started_at"] = seen.started_at  # of the first attempt
        if to.ended:
            changes["ended_at"] = now
        may_leave = and_(
            experiments.c.id == seen.id,
            experiments.c.state.in_(to.sources),
            experiments.c.attempt == seen.attempt,
        )
        with self._writing() as connection:
            row = connection.execute(
                select(experiments.c.state).where(may_leave).with_for_update()
            ).one_or_none()
            if row is None:
                here = _get(connection, seen.id)
                raise Conflict(
                    f"experiment {seen.id} is {here.state} in attempt {here.attempt}; "
                    f"{to} follows only {', '.join(to.sources)} of attempt {seen.attempt}"
                )
            connection.execute(update(experiments).where(may_leave).values(changes))
            _record(connection, seen.id, now, attempt, State(row.state), to, reason)
            return _get(connection, seen.id)

    def request_cancel(self, experiment_id: str, *, now: datetime) -> Experiment:
        """Notes that somebody wants it cancelled; asking twice keeps the first time.

        Raises:
            UnknownExperiment: there is none of this id.
            Conflict: it has ended.
        """
        with self._writing() as connection:
            here = _get(connection, experiment_id, lock=True)
            if here.state.ended:
                raise Conflict(f"experiment {experiment_id} has ended already: it is {here.state}")
            if here.cancel_requested_at is None:
                wish = {"cancel_requested_at": now, "updated_at": now}
                connection.execute(update(experiments).where(experiments.c.id == experiment_id).values(wish))
            return _get(connection, experiment_id)

    def observe(
        self, seen: Experiment, *, job_status: str, mlflow_run_id: str | None, now: datetime
    ) -> Experiment:
        """Keeps the last look at the attempt's job; `job_since` moves only when its status does."""
        changes: dict[str, Any] = {}
        if job_status != seen.job_status:
            changes |= {"job_status": job_status, "job_since": now}
        if mlflow_run_id is not None and mlflow_run_id != seen.mlflow_run_id:
            changes["mlflow_run_id"] = mlflow_run_id
        if not changes:
            return seen
        same = and_(experiments.c.id == seen.id, experiments.c.attempt == seen.attempt)
        with self._writing() as connection:
            connection.execute(update(experiments).where(same).values(changes))
            return _get(connection, seen.id)

    def mlflow_settled(self, experiment_id: str) -> None:
        """The MLflow run has its final status, or there is none to have it."""
        mine = experiments.c.id == experiment_id
        with self._writing() as connection:
            connection.execute(update(experiments).where(mine).values(mlflow_status_due=None))


@contextmanager
def _mapped_errors() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        raise StoreUnavailable(tables.words_of(error)) from error
    except PoolTimeout as error:
        raise StoreUnavailable(str(error)) from error


def _get(connection: Connection, experiment_id: str, *, lock: bool = False) -> Experiment:
    if "\0" in experiment_id:
        raise UnknownExperiment(experiment_id)  # Postgres would refuse the question
    query = select(experiments).where(experiments.c.id == experiment_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise UnknownExperiment(experiment_id)
    return Experiment.from_row(row._asdict())


def _record(
    connection: Connection,
    experiment_id: str,
    at: datetime,
    attempt: int,
    left: State | None,
    to: State,
    reason: str,
) -> None:
    values = {
        "experiment_id": experiment_id,
        "at": at,
        "attempt": attempt,
        "from_state": left,
        "to_state": to,
    }
    connection.execute(insert(events).values(**values, reason=reason))


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    for column, wanted in (
        (experiments.c.state, filters.states),
        (experiments.c.method, filters.methods),
        (experiments.c.dataset, filters.datasets),
    ):
        if wanted:
            conditions.append(column.in_(wanted))
    for key, value in filters.tags:
        tagged = select(tags.c.experiment_id).where(tags.c.key == key)
        if value is not None:
            tagged = tagged.where(tags.c.value == value)
        conditions.append(experiments.c.id.in_(tagged))
    return conditions
