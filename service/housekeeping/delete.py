"""Experiments, sweeps and follow-ups deleted, with all that they left where that is asked for.

Whole or not at all: the folders are marked, then the rows go in one transaction, then the folders and
MLflow's runs. What dies in between leaves marks: over a row they mean nothing and are taken back, without one
the rest goes at the next `rebalance gc`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from service.reconcile.cluster import AccessRefused, BackendUnreachable, RunCloser
from service.reconcile.track_requests import pending_try, word_of
from service.store.experiments import Store
from service.store.records import Conflict, Experiment, StoreUnavailable, Sweep, Unknown
from trainer.base.errors import RegionRebalanceError
from trainer.storage.deleted import Doomed
from trainer.storage.layout import Storage

_WITH = "with its artifacts"
_MOST_RUNS = 100  # of a sweep, told of within a request: some milliseconds each

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Deleted:
    """What is gone. `left`: what could not be taken away yet, and why; `rebalance gc` does it later."""

    id: str
    kind: str
    artifacts: bool
    left: tuple[str, ...] = ()


@dataclass(frozen=True)
class Deletion:
    """What deletes: the rows, the storage, and MLflow, if there is one."""

    store: Store
    storage: Storage
    runs: RunCloser | None

    def experiment(self, identifier: str, *, artifacts: bool, now: datetime) -> Deleted:
        """Raises UnknownExperiment, Conflict; OSError where the storage does not answer: nothing is gone."""
        row = self.store.removals.check_experiment(identifier)
        doomed = []
        if artifacts:
            self._refuse_tracked(row)
            doomed.append((Doomed(self.storage.experiment(row.id)), row.mlflow_run_id))
        else:
            self._end_runs([row])
        detail = _WITH if artifacts else ""
        left = self._gone(doomed, lambda: self.store.removals.experiment(row.id, now=now, detail=detail))
        return Deleted(row.id, "experiment", artifacts, left)

    def sweep(self, identifier: str, *, artifacts: bool, now: datetime) -> Deleted:
        """With its trials; errors as in `experiment`."""
        row = self.store.removals.check_sweep(identifier)
        doomed, trials = [], self.store.trials(row.id)
        if artifacts:
            self._refuse_tracked(row)
            for trial in trials:
                self._refuse_tracked(trial)
                doomed.append((Doomed(self.storage.experiment(trial.id)), trial.mlflow_run_id))
            # Last: a sweep's folder names the trials that have one.
            doomed.append((Doomed(self.storage.sweep(row.id).folder), row.mlflow_run_id))
        else:
            self._end_runs([*trials, row])
        detail = _WITH if artifacts else ""
        left = self._gone(doomed, lambda: self.store.removals.sweep(row.id, now=now, detail=detail))
        return Deleted(row.id, "sweep", artifacts, left)

    def followup(self, identifier: str, *, artifacts: bool, now: datetime) -> Deleted:
        """An evaluation, a prediction or an export; errors as in `experiment`."""
        row = self.store.removals.check_followup(identifier)
        doomed: list[tuple[Doomed, str | None]] = []
        if artifacts:
            doomed.append((Doomed(self.storage.followup(row.experiment_id, row.id).folder), None))
        detail = _WITH if artifacts else ""
        left = self._gone(doomed, lambda: self.store.removals.followup(row.id, now=now, detail=detail))
        return Deleted(row.id, row.kind, artifacts, left)

    def finish(self, doomed: Doomed) -> str | None:
        """Takes away a marked folder whose row is gone, and its MLflow run; what was in the way, if anything.

        MLflow first: the folder is what names its run.
        """
        run_id, place = doomed.mlflow_run_id(), self.storage.name_of(doomed.folder)
        try:
            if run_id is not None and self.runs is not None:
                self.runs.delete_run(run_id)
            doomed.folder.delete()
        except BackendUnreachable as error:
            return f"MLflow run {run_id} and {place}: {error}"
        except OSError as error:
            return f"{place}: {error.strerror or error}"
        return None

    def _gone(
        self, doomed: Sequence[tuple[Doomed, str | None]], rows: Callable[[], object]
    ) -> tuple[str, ...]:
        """What is left in storage and MLflow, once the rows have gone; raises where they stay."""
        marked: list[Doomed] = []
        try:
            for each, run_id in doomed:
                if each.put_mark(run_id):
                    marked.append(each)
            rows()
        except (StoreUnavailable, Unknown):
            # Perhaps the rows are gone, perhaps another deletion was faster: its marks are these.
            raise
        except (RegionRebalanceError, OSError):
            _take_back(marked)
            raise
        return tuple(trouble for each in marked if (trouble := self.finish(each)) is not None)

    def _end_runs(self, rows: Sequence[Experiment | Sweep]) -> None:
        """Tells MLflow how those ended of which it does not know: without their rows nobody will.

        Raises:
            Conflict: it does not answer, or so many are to be told of that the reconciler has to do it.
        """
        due = [(row.mlflow_run_id, row.mlflow_status_due) for row in rows]
        owed = [(run, status) for run, status in due if run is not None and status is not None]
        if self.runs is None or not owed:
            return
        wait = "it can be deleted after that, or now with its artifacts"
        if len(owed) > _MOST_RUNS:
            raise Conflict(f"MLflow is still to be told how {len(owed)} runs ended; {wait}")
        for run_id, status in owed:
            try:
                self.runs.close_run(run_id, status)
            except AccessRefused as error:  # its job, with credentials of its own, has closed it
                log.warning("mlflow refused", extra={"run": run_id, "reason": str(error)})
            except BackendUnreachable as error:
                raise Conflict(
                    f"MLflow is still to be told how run {run_id} ended: {error}; {wait}"
                ) from error

    def _refuse_tracked(self, row: Experiment | Sweep) -> None:
        """Raises Conflict while a job reads the run directory to send it to MLflow."""
        if pending_try(self.storage, row) is not None:
            raise Conflict(
                f"{word_of(row)} {row.id} is being sent to MLflow again; it can be deleted after that"
            )


def _take_back(marked: Sequence[Doomed]) -> None:
    for each in marked:
        with suppress(OSError):  # a mark beside a row means nothing, and goes with the next `rebalance gc`
            each.take_back()
