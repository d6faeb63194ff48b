"""Brings the rows of a sweep's trials to where their run directories say they are, many at once.

A sweep may have 10,000 trials and few that change: only those that run, those newly begun, and those that
somebody wants stopped are looked at in a pass.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from service.reconcile.decide_trial import Phase, move_of
from service.reconcile.retries.trials import attempts_of_trial
from service.shared.settings import Settings
from service.shared.states import LIVE, WITH_JOB, State
from service.store.attempts.values import AttemptRecord
from service.store.experiments import Store
from service.store.new_rows import drawn_trial
from service.store.records import Experiment, Move, Sweep
from sweeps.driver.decide import worth_another_try
from sweeps.results.trial_progress import lost_attempts, trial_progress
from trainer.storage.layout import Storage, mlflow_ids
from trainer.storage.notices import read_notices
from trainer.storage.tracking import read_record

log = logging.getLogger(__name__)

_PAUSED = "pause was asked\n"
_AT_ONCE = 500  # trials a pass, or a transaction
_SETTLED = timedelta(seconds=2)  # a directory unchanged for so long shows every file in its time stamp
_TRUSTED = timedelta(seconds=30)  # for so long: clocks of storage and service may differ


@dataclass(frozen=True)
class _Look:
    """The last look into a sweep's trials/: the directory's time then, and which queued trials lay there."""

    changed_ns: int
    at: datetime
    begun: list[int]


class Trials:
    """Follows the trials of sweeps; remembers only what saves a look."""

    def __init__(
        self, store: Store, settings: Settings, confined: Callable[[str], AbstractContextManager[None]]
    ) -> None:
        """`confined`: keeps an error nobody expected with the trial of that id, see `passes.mishaps`."""
        self._store = store
        self._storage = settings.layout
        self._confined = confined
        self._looks: dict[str, _Look] = {}

    def follow(self, sweep: Sweep, now: datetime) -> None:
        """One pass over what may have changed in a sweep that has not ended."""
        self._keep_paused(sweep)
        phase = Phase.ALIVE if sweep.state.has_job else Phase.AGAIN
        rows = self._store.trials(sweep.id, states=WITH_JOB, following=True)
        begun = self._newly_begun(sweep, now) if phase is Phase.ALIVE else []
        if begun:
            rows += self._store.trials(sweep.id, states=[State.QUEUED], numbers=begun, following=True)
        self._move(sweep, rows, phase, now)
        for experiment in self._store.trials_to_stop(sweep.id):
            if not self._storage.stop(experiment).exists():
                self._storage.stop(experiment).write("cancel was asked\n")

    def settle(self, sweep: Sweep, to: State, now: datetime) -> None:
        """Ends every trial of a sweep of which nothing will run any more."""
        del to
        self._looks.pop(sweep.id, None)
        self._newly_begun(sweep, now)
        while rows := self._store.trials(sweep.id, states=LIVE, following=True, limit=_AT_ONCE):
            if not self._move(sweep, rows, Phase.OVER, now):
                return  # overtaken; the next pass comes back to it

    def _move(self, sweep: Sweep, rows: list[Experiment], phase: Phase, now: datetime) -> int:
        moves, noticed = [], []
        jobs: list[AttemptRecord] = []  # the sweep's, asked for by the first that moves
        for row in rows:
            with self._confined(row.id):
                move = self._move_of(row, phase)
                if move is not None:
                    jobs = jobs or self._store.sweeps.attempts(sweep.id)[0]
                    tried = attempts_of_trial(self._storage, row.id, sweep, jobs, move.steps[-1])
                    moves.append(replace(move, tried=tried))
                newest = self._storage.newest_attempt(row.id)
                noticed.append((row, read_notices(self._storage.attempt(row.id, newest))))
        self._store.note(noticed, now=now)
        for move in moves:
            to, reason = move.steps[-1]
            log.info(
                "transition",
                extra={"experiment": move.row.id, "from": move.row.state, "to": to, "reason": reason},
            )
        return self._store.follow(moves, now=now) if moves else 0

    def _move_of(self, row: Experiment, phase: Phase) -> Move | None:
        progress = trial_progress(self._storage, row.id)
        again = progress.error is not None and worth_another_try(
            progress.error, lost_attempts(self._storage, row.id) if progress.error.retryable else 0
        )
        run_id = mlflow_ids(self._storage.mlflow_run(row.id)).get("run_id") if progress.attempt else None
        record = read_record(self._storage.tracked(row.id).record) if progress.attempt else None
        behind = record is not None and record.behind
        return move_of(row, progress, phase, tried_again=again, run_id=run_id, behind=behind)

    def _newly_begun(self, sweep: Sweep, now: datetime) -> list[int]:
        """Numbers of queued trials that the job has begun; those it has drawn itself are stored first."""
        directory = self._storage.sweep(sweep.id)
        changed_ns = directory.trials.modified_ns()
        last = self._looks.get(sweep.id)
        if changed_ns is None:
            return []
        if last is not None and last.changed_ns == changed_ns and now - last.at < _TRUSTED:
            return last.begun
        states = self._store.sweeps.trial_states(sweep.id)
        numbers = directory.trial_numbers()
        drawn = [
            trial
            for number in numbers
            if number not in states and (trial := drawn_trial(self._storage, sweep, number, now)) is not None
        ]
        if drawn:
            self._store.sweeps.add_trials(sweep, drawn)
        new = {row.trial for row, _ in drawn}
        begun = [n for n in numbers if states.get(n) is State.QUEUED or n in new]
        quiet = now.timestamp() - changed_ns / 1e9 > _SETTLED.total_seconds()
        if quiet and len(begun) <= _AT_ONCE:
            self._looks[sweep.id] = _Look(changed_ns, now, begun)
        return begun[:_AT_ONCE]

    def _keep_paused(self, sweep: Sweep) -> None:
        """What a request asked for, where it was cut off; a pause that somebody made by hand stays."""
        file = self._storage.sweep(sweep.id).pause
        if sweep.paused != file.exists() and (sweep.paused or file.read_bytes() == _PAUSED.encode()):
            set_pause(self._storage, sweep.id, paused=sweep.paused)


def set_pause(storage: Storage, sweep_id: str, *, paused: bool) -> None:
    """Writes or removes the file that keeps a sweep's job from starting trials. Raises OSError."""
    file = storage.sweep(sweep_id).pause
    if not paused:
        file.delete()
    elif not file.exists():
        file.write(_PAUSED)
