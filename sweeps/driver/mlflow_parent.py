"""What a sweep leaves in MLflow: a run above those of its trials, with the table."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from sweeps.document.spec import SweepSpec
from sweeps.document.stages import added, forms
from sweeps.driver.mlflow_views import table_view, view_of
from sweeps.results.table import Table
from trainer.base.ends import RunStatus
from trainer.results.report import AttemptReport
from trainer.storage.directories import SweepDir
from trainer.storage.layout import Storage, mlflow_ids
from trainer.storage.notices import Notice, add_notice
from trainer.storage.tracking import CODE, TrackingRecord, Trouble, read_record, write_record
from trainer.tracking.content.groups import group_of
from trainer.tracking.mlflow_compat import LOGGED_ARTIFACTS, NOTE, PARENT_RUN
from trainer.tracking.mlflow_tracker import MlflowTracker
from trainer.tracking.run_log import delta_point
from trainer.tracking.tracker import Point, RunInfo, Tracker, open_noted
from trainer.tracking.trouble import TrackerError, translated, within

log = logging.getLogger(__name__)

_SECONDS_BETWEEN_TABLES = 30.0
_SECONDS_AFTER_FAILURE = 60.0
_SECONDS_TO_TELL = 90.0
_MISSING = "Missing there: the sweep's newest table and gains"


class ParentRun:
    """The sweep's run, the same for all its drivers. What MLflow does not take is noticed, and costs no more.

    It is opened again after each failure: a deleted one is restored, or made anew.
    """

    def __init__(
        self,
        sweep: SweepSpec,
        identifier: str,
        storage: Storage,
        uri: str | None,
        *,
        connect: Callable[[str], Tracker] = MlflowTracker,
        seconds: float = _SECONDS_TO_TELL,
    ) -> None:
        """`seconds` is how long MLflow may take each time that it is told something."""
        self._sweep = sweep
        self._id = identifier
        self._storage = storage
        self._directory: SweepDir = storage.sweep(identifier)
        self._uri = uri
        self._connect = connect
        self._seconds = seconds
        self._tracker: Tracker | None = None
        self.trouble: TrackerError | None = None  # the last one, until everything is shown again
        self._shown = self._quiet_until = 0.0
        self._gains: deque[AttemptReport] = deque()  # threads add, one at a time takes
        self._telling = threading.Lock()
        if uri is not None:
            with self._telling:
                self._tell(self._open)  # its id is a tag of every trial's run

    @property
    def run_id(self) -> str | None:
        return mlflow_ids(self._directory.mlflow).get("run_id")

    def tags_of(self, row: str) -> dict[str, str]:
        """What a trial's run is tagged with, so that MLflow shows it below this one."""
        tags = {"rebalance.sweep": self._id, "rebalance.row": row}
        return {**tags, PARENT_RUN: self.run_id} if self.run_id else tags

    def show(
        self,
        table: Table,
        numbers: Mapping[str, float],
        step: int,
        gains: Sequence[AttemptReport] = (),
        *,
        last: bool = False,
    ) -> None:
        """Logs the numbers, and the table with its files at most every half minute.

        `gains` are reports of trials whose difference to the reference is known by now: it goes into their
        runs, with this call or a later one.

        One thread at a time; the others, and all for a minute after a failure, go on without: no trial
        waits for a server that hangs. The last call always counts.
        """
        if self._uri is None:
            return
        if last:
            self.trouble = None  # what was missing before goes with this
        self._gains.extend(gains)
        if not last and time.monotonic() < self._quiet_until:
            return
        if not self._telling.acquire(blocking=last):
            return
        try:
            self._tell(lambda: self._show(table, numbers, step, last=last))
        finally:
            self._telling.release()

    def show_page(self) -> None:
        """Sends the report and its figures, as they lie in storage."""
        if self._uri is not None:
            with self._telling:
                self._tell(self._log_page)

    def close(self, status: RunStatus | None, *, by: str) -> None:
        """Gives the run its final status, and notes in storage whether MLflow has what `show` sent last.

        Args:
            status: None leaves the run open.
            by: who sent it: see `TrackingRecord`.
        """
        if self._tracker is not None and status is not None:
            tracker, last = self._tracker, status
            self._tell(lambda: tracker.close(last))
        if self._uri is not None:
            with suppress(OSError):
                self._note(by)

    def _tell(self, work: Callable[[], object]) -> None:
        """Does it, or notices why MLflow does not take it."""
        try:
            with translated():
                within(self._seconds, work)
        except TrackerError as error:
            log.warning("%s; the sweep goes on", error.told)
            self._tracker, self.trouble = None, error
            self._quiet_until = time.monotonic() + _SECONDS_AFTER_FAILURE
            with suppress(OSError):
                self._notice(f"{error.told}. {_MISSING}, until they are taken")

    def _note(self, by: str) -> None:
        """Raises OSError."""
        record = self._directory.tracked.record
        before, error = read_record(record), self.trouble
        if error is not None:
            text = f"{error.told}. {_MISSING}"
            write_record(record, TrackingRecord(state="behind", by=by, trouble=error.kind, text=text))
            return
        write_record(record, TrackingRecord(state="ok", by=by))
        if before is not None and before.behind:
            self._notice("tracking caught up: nothing of the sweep's own run is missing in MLflow any more")

    def _notice(self, text: str) -> None:
        attempt = self._directory.attempt(max(1, self._directory.newest_attempt()))
        add_notice(attempt, Notice(code=CODE, text=text))

    def _open(self) -> Tracker:
        assert self._uri is not None
        tracker = self._connect(self._uri)
        open_noted(tracker, self._directory.mlflow, self._info())
        tracker.show_view(view_of(self._sweep, self._id))
        self._tracker = tracker
        return tracker

    def _show(self, table: Table, numbers: Mapping[str, float], step: int, *, last: bool) -> None:
        tracker = self._tracker or self._open()
        tracker.log_points([Point(step, time.time(), numbers)])
        if last or time.monotonic() - self._shown > _SECONDS_BETWEEN_TABLES:
            self._log_tables(table, tracker)
            self._shown = time.monotonic()
        for report in list(self._gains):
            self._tell_gain(report, tracker)
            with suppress(ValueError):  # one that took too long was left to itself, and is there after all
                self._gains.remove(report)

    def _tell_gain(self, report: AttemptReport, tracker: Tracker) -> None:
        """Sends what a trial gains to its run; one that has none, or whose run somebody has deleted, goes
        without until everything of it is sent again.
        """
        run_id = mlflow_ids(self._storage.mlflow_run(report.experiment)).get("run_id")
        point = delta_point(self._storage, report)
        if run_id is None or point is None:
            return
        try:
            tracker.log_points([point], run_id)
        except TrackerError as error:
            if error.kind is not Trouble.DELETED:
                raise
            log.warning("the gain of %s is not in MLflow: %s", report.experiment, error)

    def _log_page(self) -> None:
        tracker, figures = self._tracker or self._open(), self._directory.figures
        tracker.log_file(self._directory.page.local)
        for name in figures.names():
            tracker.log_file(figures.file(name).local, figures.name)

    def _info(self) -> RunInfo:
        sweep = self._sweep
        tags = {
            "rebalance.sweep": self._id,
            NOTE: f"sweep over {sweep.base.dataset.name}, {sweep.base.model.label}",
            LOGGED_ARTIFACTS: json.dumps([{"path": self._directory.comparison.name, "type": "table"}]),
            **{f"tag.{key}": value for key, value in sweep.tags.items()},
        }
        # MLflow changes no parameter that a run has: those of the start stay, each extension adds its own.
        *_, first = forms(sweep)
        document = first.model_dump(mode="json", exclude={"base", "tags", "name"})
        more = enumerate(added(sweep), start=1)
        document |= {
            f"extension.{n}": each.model_dump(mode="json", exclude_defaults=True) for n, each in more
        }
        params = {key: json.dumps(value, ensure_ascii=False) for key, value in document.items()}
        name = sweep.name or self._id
        return RunInfo(group=group_of(sweep.base.dataset), name=name, params=params, tags=tags)

    def _log_tables(self, table: Table, tracker: Tracker) -> None:
        view = self._directory.comparison
        view.write(json.dumps(table_view(table)) + "\n")
        for file in (view, *self._directory.tables.values()):
            if file.exists():
                tracker.log_file(file.local)
