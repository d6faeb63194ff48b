"""A trial's evaluations as its run directory tells them, over all its attempts, up to its end."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from trainer.base.ends import End
from trainer.base.errors import ReportError
from trainer.results.report import AttemptReport, read_report
from trainer.storage.layout import Storage
from trainer.storage.orders import permit
from trainer.storage.sink import whole_record


@dataclass(frozen=True)
class Evaluation:
    """One evaluation, or the trial's end with its last one. `value` is None where the metric has none."""

    iteration: int
    value: float | None
    ended: bool = False


class EvaluationReader:
    """Reads a run directory as it grows. What was told is not told again.

    `last` is the trial's last iteration.
    """

    def __init__(self, storage: Storage, experiment: str, *, metric: str, last: int) -> None:
        self._storage = storage
        self._experiment = experiment
        self._metric = metric
        self._last = last
        self._newest = 0
        self._queue: deque[Evaluation] = deque()
        self._offsets: dict[int, int] = {}
        self._permitted: tuple[int, int] | None = None
        self._told = Evaluation(0, None)

    def poll(self) -> Evaluation | None:
        """The next evaluation or the end; None while there is nothing new."""
        attempt = self._storage.newest_attempt(self._experiment)
        # The report is looked for first: what stood in metrics.jsonl when it was written is then read.
        report = self._report(attempt)
        for number in range(1, attempt + 1):
            self._read(number)
        if report is None:
            # The last one is told with the end: a scheduler must not stop what is already done.
            ready = self._queue and self._queue[0].iteration < self._last
        else:
            ready = len(self._queue) > (report.result is not None)
        if ready:
            step: Evaluation | None = self._queue.popleft()
        else:
            step = None if report is None else self._end(report, [*self._queue, self._told][0])
        self._told = step or self._told
        return step

    def go_on(self) -> None:
        """Permits the newest attempt, if it is not over, to train beyond what was told last."""
        attempt = self._storage.newest_attempt(self._experiment)
        here = (attempt, self._told.iteration)
        directory = self._storage.attempt(self._experiment, attempt)
        if all(here) and here != self._permitted and not directory.report.exists():
            permit(directory.permit, self._told.iteration)
            self._permitted = here

    def _end(self, report: AttemptReport, last: Evaluation) -> Evaluation:
        if report.result is None:  # what it had measured before it failed is no score
            return Evaluation(last.iteration, last.value if report.end is End.STOPPED else None, ended=True)
        scores = report.result.scores
        value = getattr(scores, self._metric) if scores else None
        return Evaluation(report.result.iterations, value, ended=True)

    def _report(self, attempt: int) -> AttemptReport | None:
        if not attempt:
            return None
        try:
            return read_report(self._storage.attempt(self._experiment, attempt).report)
        except ReportError:
            return None

    def _read(self, attempt: int) -> None:
        metrics = self._storage.attempt(self._experiment, attempt).metrics
        for line in metrics.lines(self._offsets.get(attempt, 0)):
            if not line.endswith(b"\n"):
                break
            self._offsets[attempt] = self._offsets.get(attempt, 0) + len(line)
            record = whole_record(line) if b'"eval"' in line else None
            if record and record.get("kind") == "eval" and record["iteration"] > self._newest:
                self._newest = record["iteration"]
                value = record.get(self._metric)
                self._queue.append(Evaluation(self._newest, None if value is None else float(value)))
