"""What a sweep leaves in MLflow: a run above those of its trials, with the table."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from sweeps.document.spec import SweepSpec
from sweeps.results.table import Table
from trainer.base.ends import End
from trainer.storage.layout import Storage, SweepDir, mlflow_ids
from trainer.tracking.mlflow_compat import LOGGED_ARTIFACTS, NOTE, PARENT_RUN
from trainer.tracking.tracker import MlflowTracker, RunInfo, Tracker, TrackerError, open_noted

log = logging.getLogger(__name__)

_SECONDS_BETWEEN_TABLES = 30.0
_SECONDS_AFTER_FAILURE = 60.0


class ParentRun:
    """The sweep's run, the same for all its drivers. A server that does not answer costs a warning only."""

    def __init__(
        self,
        sweep: SweepSpec,
        identifier: str,
        storage: Storage,
        uri: str | None,
        *,
        connect: Callable[[str], Tracker] = MlflowTracker,
    ) -> None:
        self._sweep = sweep
        self._id = identifier
        self._directory: SweepDir = storage.sweep(identifier)
        self._connect = connect
        self._tracker: Tracker | None = None
        self._shown = self._quiet_until = 0.0
        self._telling = threading.Lock()
        if uri is not None:
            self._open(uri)

    @property
    def run_id(self) -> str | None:
        return mlflow_ids(self._directory.mlflow).get("run_id")

    def tags_of(self, row: str) -> dict[str, str]:
        """What a trial's run is tagged with, so that MLflow shows it below this one."""
        tags = {"rebalance.sweep": self._id, "rebalance.row": row}
        return {**tags, PARENT_RUN: self.run_id} if self.run_id else tags

    def show(self, table: Table, numbers: Mapping[str, float], step: int, *, last: bool = False) -> None:
        """Logs the numbers, and the table with its files at most every half minute.

        One thread at a time; the others, and all for a minute after a failure, go on without: no trial
        waits for a server that hangs. The last call always counts.
        """
        if self._tracker is None or (not last and time.monotonic() < self._quiet_until):
            return
        if not self._telling.acquire(blocking=last):
            return
        try:
            self._tracker.log_metrics(step, time.time(), numbers)
            if last or time.monotonic() - self._shown > _SECONDS_BETWEEN_TABLES:
                self._log_tables(table)
                self._shown = time.monotonic()
        except TrackerError as error:
            log.warning("MLflow has not taken the sweep's table: %s", error)
            self._quiet_until = time.monotonic() + _SECONDS_AFTER_FAILURE
        finally:
            self._telling.release()

    def close(self, end: End) -> None:
        if self._tracker is not None:
            with suppress(TrackerError):
                self._tracker.close(end.mlflow_status)

    def _open(self, uri: str) -> None:
        try:
            tracker = self._connect(uri)
            open_noted(tracker, self._directory.mlflow, self._info())
        except TrackerError as error:
            log.warning("MLflow is not reached, the sweep goes on without: %s", error)
            return
        self._tracker = tracker

    def _info(self) -> RunInfo:
        sweep = self._sweep
        tags = {
            "rebalance.sweep": self._id,
            NOTE: f"sweep over {sweep.base.dataset.name}, {sweep.base.model.name}",
            LOGGED_ARTIFACTS: json.dumps([{"path": self._directory.comparison.name, "type": "table"}]),
            **{f"tag.{key}": value for key, value in sweep.tags.items()},
        }
        document = sweep.model_dump(mode="json", exclude={"base", "tags", "name"})
        params = {key: json.dumps(value, ensure_ascii=False) for key, value in document.items()}
        name = sweep.name or self._id
        return RunInfo(group=sweep.base.dataset.name, name=name, params=params, tags=tags)

    def _log_tables(self, table: Table) -> None:
        assert self._tracker is not None
        view = self._directory.comparison
        view.write(json.dumps(table_view(table)) + "\n")
        for file in (view, *self._directory.tables.values()):
            if file.exists():
                self._tracker.log_file(file.local)


def table_view(table: Table) -> dict[str, Any]:
    """{"columns": […], "data": [[…]]}: a line for each mode and row, rounded; table.csv has all digits."""
    scores = list(table.blocks[0].rows[0].scores)
    spreads = [name for score in scores for name in (score, f"{score} std")]
    columns = ["mode", "row", *spreads, f"delta {table.metric}", "p", "n", "stopped", "unfinished"]
    data = [
        [
            block.mode,
            row.row,
            *(
                _rounded(value, 2)
                for score in scores
                for value in (row.scores[score].mean, row.scores[score].std)
            ),
            _rounded(row.delta, 2),
            _rounded(row.p_value, 4),
            len(row.seeds),
            row.stopped,
            row.unfinished,
        ]
        for block in table.blocks
        for row in block.rows
    ]
    return {"columns": columns, "data": data}


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
