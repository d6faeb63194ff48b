"""Why something waits that was asked for, and what would let it go on: the one place that says so."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from service.shared.schemas import WaitingPublic
from service.shared.settings import Settings
from service.shared.states import State
from service.store.experiments import Store
from service.store.records import Experiment, Followup, JobRow, Sweep
from trainer.storage.directories import AttemptDir
from trainer.storage.waiting import Waiting, read_waiting

_FRESH_SECONDS = 1.0  # of what is asked of the database, however long the list
_FRESH_FILE_SECONDS = 0.1


class Queue:
    """Answers for rows of every kind; any thread may ask.

    What is queued waits for what the service knows, what has a job for what the job says itself.
    """

    def __init__(
        self, store: Store, settings: Settings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._busy = 0
        self._counted_at = float("-inf")
        self._nothing_goes: Waiting | None = None
        self._looked_at = float("-inf")
        self._sweeps: dict[str, tuple[float, WaitingPublic | None]] = {}

    def of_experiment(self, row: Experiment) -> WaitingPublic | None:
        """None where it does not wait, as far as is known. A trial waits for its sweep's job."""
        if row.sweep_id is not None and not row.detached and row.state is State.QUEUED:
            return self._of_trial(row, row.sweep_id)
        return self._of(row, lambda: self._settings.layout.attempt(row.id, row.attempt))

    def of_sweep(self, row: Sweep) -> WaitingPublic | None:
        """The same of a sweep; one that was paused waits for nothing else."""
        here = self._settings.layout.sweep(row.id)
        if not row.state.ended and (row.paused or here.pause.exists()):
            return _paused(row.id, row.updated_at)
        return self._of(row, lambda: here.attempt(row.attempt))

    def of_followup(self, row: Followup) -> WaitingPublic | None:
        """The same of a follow-up."""
        followup = self._settings.layout.followup(row.experiment_id, row.id)
        return self._of(row, lambda: followup.attempt(row.attempt))

    def _of(self, row: JobRow, attempt: Callable[[], AttemptDir]) -> WaitingPublic | None:
        if row.cancel_requested_at is not None or row.state.ended:
            return None
        if row.state is State.PAUSED:
            reason, would_run = "it was paused", f"once it is resumed: rebalance resume {row.id}"
            since = row.pause_requested_at or row.updated_at
            return WaitingPublic(code="paused", reason=reason, would_run=would_run, since=since)
        if row.state is State.QUEUED:
            return self._of_queued(row)
        said = read_waiting(attempt().waiting)
        return None if said is None else WaitingPublic(**said.model_dump())

    def _of_queued(self, row: JobRow) -> WaitingPublic | None:
        away = self._away()
        since = row.queued_at or (row.created_at if row.attempt == 1 else row.updated_at)
        if away is not None:
            told = away.model_dump() | {"since": max(since, away.since)}
            return WaitingPublic(**told)
        if row.wait_reason is not None:
            return WaitingPublic(**row.wait_reason, since=since)
        busy, most = self._places_taken(), self._settings.max_running
        if busy < most:
            return None  # it is looked at in the next pass
        reason, would_run = f"{busy} of {most} are running", "once one of them ends"
        return WaitingPublic(code="max_running", reason=reason, would_run=would_run, since=since)

    def _away(self) -> Waiting | None:
        """Why nothing at all is handed to the cluster; a list asks once."""
        now = self._clock()
        if now - self._looked_at > _FRESH_FILE_SECONDS:
            self._nothing_goes = read_waiting(self._settings.layout.waiting)
            self._looked_at = now
        return self._nothing_goes

    def _of_trial(self, row: Experiment, sweep: str) -> WaitingPublic | None:
        if row.cancel_requested_at is not None:
            return None
        return self._of_its_sweep(sweep) or WaitingPublic(
            code="sweep",
            reason=f"its sweep {sweep} begins its trials as it finds places for them",
            would_run="once trials before it have ended",
            since=row.created_at,
        )

    def _of_its_sweep(self, sweep: str) -> WaitingPublic | None:
        """Why the whole sweep waits; a list of its trials asks once."""
        now = self._clock()
        asked_at, found = self._sweeps.get(sweep, (float("-inf"), None))
        if now - asked_at > _FRESH_SECONDS:
            found = self.of_sweep(self._store.sweeps.get(sweep))
            self._sweeps = {sweep: (now, found)}
        return found

    def _places_taken(self) -> int:
        now = self._clock()
        if now - self._counted_at > _FRESH_SECONDS:
            self._busy = sum(ledger.busy() for ledger in self._store.ledgers.values())
            self._counted_at = now
        return self._busy


def _paused(sweep: str, since: datetime) -> WaitingPublic:
    return WaitingPublic(
        code="paused",
        reason=f"sweep {sweep} is paused",
        would_run=f"once it is resumed: rebalance sweep resume {sweep}",
        since=since,
    )
