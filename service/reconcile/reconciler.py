"""Makes the cluster do what the database wants, and the database say what the cluster did.

One pass is `run_once`: observe, `decide`, act. It can be cut off anywhere and repeated: submission
ids are computed, and every change of state is a compare-and-set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from service.reconcile.cluster import Backend, RunCloser
from service.reconcile.decide import Rules
from service.reconcile.job_follower import JobFollower
from service.reconcile.job_kinds import ExperimentWork, FollowupWork, SweepWork
from service.reconcile.passes.cluster_link import BackendLink
from service.reconcile.passes.mishaps import Mishaps
from service.reconcile.queue.admission import Admission
from service.reconcile.queue.snapshots import Room
from service.reconcile.track_requests import note_followup_unsent
from service.reconcile.tracking import Tracking
from service.reconcile.trial_follower import Trials
from service.scheduling.policy import PolicyFile
from service.shared.settings import Settings
from service.shared.states import LIVE, WITH_JOB, State
from service.store.experiments import Store
from service.store.queue.lines import Kind
from service.store.records import Followup, JobRow, StoreUnavailable

Row = TypeVar("Row", bound=JobRow)

_UNSETTLED_AT_ONCE = 10


def utc_now() -> datetime:
    """Now, aware, in UTC."""
    return datetime.now(UTC)


class Reconciler:
    """One pass over what is not yet as it should be. Only one may work on a database at a time."""

    def __init__(
        self,
        store: Store,
        backend: Backend,
        settings: Settings,
        *,
        runs: RunCloser | None = None,
        policy: PolicyFile | None = None,
    ) -> None:
        """Raises PolicyError where there is no `policy`, and the file that the settings name is none."""
        self._store = store
        self._settings = settings
        self._cluster = BackendLink(backend, settings.layout.waiting)
        self._mishaps = Mishaps()
        self._trials = Trials(store, settings, self._mishaps.confined)
        rules = Rules(
            settings.max_attempts,
            timedelta(seconds=settings.report_grace_seconds),
            settings.exception_attempts,
            timedelta(seconds=settings.stop_grace_seconds),
        )
        common = (self._cluster, rules, self._mishaps)
        experiments = JobFollower(store, ExperimentWork(settings), *common)
        self._sweeps = JobFollower(store.sweeps, SweepWork(settings), *common, before_end=self._trials.settle)
        work = FollowupWork(settings, store.get)
        followups = JobFollower(store.followups, work, *common, before_end=self._see_to_tracking)
        self._followers: tuple[JobFollower[Any], ...] = (experiments, self._sweeps, followups)
        by_kind: dict[Kind, JobFollower[Any]] = {
            "experiment": experiments,
            "sweep": self._sweeps,
            "followup": followups,
        }
        room = Room(backend, settings.max_running)
        policy = policy or PolicyFile(settings.policy)
        self._admission = Admission(store.queue, by_kind, self._cluster, room, policy)
        self._tracking = Tracking(store, settings, self._cluster, runs, self._mishaps)
        self._leads: Callable[[], bool] = lambda: True

    def run_once(self, now: datetime, leads: Callable[[], bool] = lambda: True) -> None:
        """Follows jobs and trials, drops what is not to begin, does as the queue decides, sees to MLflow.

        `leads` is asked before each row: a pass may last, and another service may have the lead by then.

        Raises:
            StoreUnavailable: the database does not answer, or we lead no more; the next pass goes on.
        """
        self._leads = leads
        self._cluster.new_pass(now)
        self._mishaps.new_pass(now)
        for follower in self._followers:
            rows = follower.ledger.in_states(*WITH_JOB)
            follower.look_ahead(rows)
            for row in self._while_leading(rows):
                follower.follow(row, now)
        for follower in self._followers:
            for row in self._while_leading(follower.ledger.set_aside()):
                follower.drop(row, now)
        self._follow_trials(now)
        self._admission.settle(now, self._check_lead)
        self._tracking.settle(now, leads)

    def _see_to_tracking(self, row: Followup, to: State, now: datetime) -> None:
        del to
        note_followup_unsent(self._store, self._settings.layout, row, now)

    def _while_leading(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows one by one, as long as they are ours to act on."""
        for row in rows:
            self._check_lead()
            yield row

    def _check_lead(self) -> None:
        if not self._leads():
            raise StoreUnavailable("another service leads by now")

    def _follow_trials(self, now: datetime) -> None:
        for sweep in self._while_leading(self._store.sweeps.in_states(*LIVE)):
            self._sweeps.guarded(sweep, self._trials.follow, now)
        for sweep in self._while_leading(self._store.sweeps.unsettled(limit=_UNSETTLED_AT_ONCE)):
            self._sweeps.guarded(sweep, lambda row, at: self._trials.settle(row, row.state, at), now)
