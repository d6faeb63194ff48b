"""One attempt at an experiment, from spec to report.json, wherever its training runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from trainer.base.ends import End
from trainer.base.errors import Cancelled, DiskFull, RegionRebalanceError, WorkerLost
from trainer.base.files import full_disk_told, is_disk_full
from trainer.base.tee import tee_output
from trainer.results.report import AttemptError, AttemptReport, AttemptResult, write_report
from trainer.storage.directories import AttemptDir
from trainer.storage.layout import mlflow_ids
from trainer.storage.notices import Notice, add_notice, read_notices
from trainer.storage.reserve import free_reserve, take_reserve
from trainer.task import Task

if TYPE_CHECKING:
    from trainer.plan import Plan
    from trainer.run.worker import WorkerResult

log = logging.getLogger(__name__)


class Attempt:
    """A task as it runs. `begun` is when this process, or its part in the attempt, began."""

    def __init__(self, task: Task, *, begun: float | None = None) -> None:
        self.task = task
        self.dir: AttemptDir = task.attempt_dir
        now = time.time()
        self._marks: list[tuple[str, float]] = [("start", now if begun is None else begun), ("imports", now)]
        self._started_at = utc_now_text()
        self._plan: Plan | None = None
        self._finished: AttemptReport | None = None

    def mark(self, name: str) -> None:
        """Notes that the part `name` of the attempt is over, for the report's timings."""
        self._marks.append((name, time.time()))

    def notice(self, notice: Notice) -> None:
        """Keeps a fact that a person must see, and prints it where it is new."""
        if add_notice(self.dir, notice):
            _say(f"notice: {notice}")

    def make_plan(self, say: Callable[[str], None]) -> Plan:
        """Makes the plan and nothing else.

        Raises:
            DataError, WeightsError: pictures or masks are not what the spec says, or weights have gone.
        """
        from trainer.plan import make_plan

        return make_plan(self.task, say)

    def prepare(self) -> Plan:
        """Makes the plan, keeps it beside the report, and says what was noticed of the data."""
        self._plan = self.make_plan(_say)
        for each in self._plan.notices:
            self.notice(each)
        self.dir.plan.write(self._plan.model_dump_json(indent=1) + "\n")
        return self._plan

    def run(
        self, work: Callable[[Attempt], WorkerResult], *, unreported: tuple[type[Exception], ...] = ()
    ) -> AttemptReport | Exception:
        """Does `work`, with everything printed kept in log.txt; the report, written last.

        Args:
            work: prepares this attempt and trains it.
            unreported: errors after which another attempt follows: they are returned, without a report.

        Raises:
            DiskFull: there is no room, not even for the report.
        """
        with full_disk_told(self.dir.path), closing(self.dir.log.appending()) as kept, tee_output(kept):
            logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
            _say(f"experiment {self.task.experiment}, attempt {self.task.attempt}: {self.dir}")
            lost = True
            try:
                take_reserve(self.dir)
                outcome = work(self)
                lost = outcome["tracking_lost"]
                report = self.report(outcome=outcome)
            except unreported as error:
                free_reserve(self.dir)
                _say(f"{type(error).__name__}: {error}")
                return error
            except Cancelled as error:
                report = self.report(error=error)
            except RegionRebalanceError as error:  # it says all there is to say: see _say_end
                report = self.report(error=error)
            except Exception as error:  # the outermost frame: whatever it was belongs into the report
                log.exception("the run failed")
                report = self.report(error=error)
            self._say_end(report)
            self.finish(report, replay=lost)
        return report

    def trained(self, outcome: WorkerResult) -> None:
        """Takes over the times that the training has noted."""
        self._marks += [(name, when) for name, when in outcome["marks"]]

    def report(
        self, *, outcome: WorkerResult | None = None, error: BaseException | None = None, final: bool = False
    ) -> AttemptReport:
        """What there is to report; `final`: what was measured stands if MLflow was already being told."""
        if final and self._finished is not None:
            return self._finished.model_copy(update=self._noted())
        pairs = zip(self._marks, self._marks[1:], strict=False)
        return AttemptReport.model_validate(
            {
                "experiment": self.task.experiment,
                "attempt": self.task.attempt,
                "state": End.of(error).reported,
                "spec": self.task.spec,
                "result": AttemptResult.model_validate(outcome["result"]) if outcome else None,
                "error": attempt_error(error) if error else None,
                "started_at": self._started_at,
                "ended_at": utc_now_text(),
                **self._noted(),
                "timings": {name: max(0.0, end - begin) for (_, begin), (name, end) in pairs},
            }
        )

    def finish(self, report: AttemptReport, *, replay: bool) -> None:
        """Tells MLflow; report.json comes last, for with it the attempt counts as ended."""
        self._finished = report
        if self.task.mlflow_uri:
            from trainer.tracking.run_log import tell_end

            tell_end(self.task, report, again=replay)
            report = report.model_copy(update=self._noted())
        self.keep(report)

    def keep(self, report: AttemptReport) -> None:
        """Writes report.json, for which room was kept.

        Raises:
            DiskFull: others have taken that, too.
        """
        free_reserve(self.dir)
        write_report(report, self.dir.report)

    def _say_end(self, report: AttemptReport) -> None:
        if report.error:
            _say(f"{report.state}: {report.error.type}: {report.error.message}")
        elif report.result and (scores := report.result.scores):
            measured = f"mIoU {score_text(scores.mIoU)}, mAcc {score_text(scores.mAcc)}"
            _say(f"completed: {measured}, {self.dir.report}")

    def refuse(self, error: Exception) -> AttemptReport:
        """Ends an attempt that does not run: its spec can no longer be used, or it is not wanted any more."""
        report = self.report(error=error)
        self.finish(report, replay=False)
        return report

    def _noted(self) -> dict[str, Any]:
        """What may be noted after the report was made: while MLflow is being told."""
        ids = mlflow_ids(self.task.layout.mlflow_run(self.task.experiment))
        return {"mlflow_run_id": ids.get("run_id"), "notices": read_notices(self.dir)}


def attempt_error(error: BaseException) -> AttemptError:
    """The report's form of an exception; lost workers and full disks are worth another try as they are."""
    kind, message = type(error), str(error).strip() or "(no message)"
    if is_disk_full(error) and kind is not DiskFull:  # met where none of our writers stands
        kind, message = DiskFull, f"no space left on a disk that the job writes to: {message}"
    return AttemptError(
        type=kind.__name__, message=message[:4000], retryable=issubclass(kind, (WorkerLost, DiskFull))
    )


def score_text(score: float | None) -> str:
    """A score as text; no class of the split may have one."""
    return "undefined" if score is None else f"{score:.2f}"


def utc_now_text() -> str:
    """Now, UTC, as reports write it: ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _say(text: str) -> None:
    print(text, flush=True)
