"""One attempt at an experiment, from spec to report.json, wherever its training runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from trainer.base.errors import Paused
from trainer.results.report import AttemptReport, AttemptResult, write_report
from trainer.run.reported import ReportedWork, say
from trainer.task import Task

if TYPE_CHECKING:
    from trainer.plan import Plan
    from trainer.run.worker import WorkerResult


class Attempt(ReportedWork["WorkerResult", AttemptReport]):
    """A task as it runs. `begun` is when this process, or its part in the attempt, began."""

    def __init__(self, task: Task, *, begun: float | None = None) -> None:
        super().__init__(
            task.attempt_dir,
            f"experiment {task.experiment}, attempt {task.attempt}",
            mlflow_run=task.layout.mlflow_run(task.experiment),
            begun=begun,
        )
        self.task = task
        self._replay = True  # MLflow may lack curves, unless who sent them says otherwise

    def make_plan(self, say: Callable[[str], None]) -> Plan:
        """Makes the plan and nothing else.

        Raises:
            DataError, WeightsError: pictures or masks are not what the spec says, or weights have gone.
        """
        from trainer.plan import make_plan

        return make_plan(self.task, say)

    def prepare(self, make: Callable[[Task], Plan] | None = None) -> Plan:
        """Makes the plan, keeps it beside the report, and says what was noticed of the data.

        Args:
            make: makes it elsewhere, or of a spec whose data set it resolves first.
        """
        plan = self.make_plan(say) if make is None else make(self.task)
        self.task = self.task.model_copy(update={"spec": plan.spec})
        for each in plan.notices:
            self.notice(each)
        self.dir.plan.write(plan.model_dump_json(indent=1) + "\n")
        return plan

    def report(
        self, *, outcome: WorkerResult | None = None, error: BaseException | None = None
    ) -> AttemptReport:
        """What there is to report."""
        if outcome is not None:
            self._replay = outcome["tracking_lost"]
        return AttemptReport.model_validate(
            {
                "experiment": self.task.experiment,
                "attempt": self.task.attempt,
                "spec": self.task.spec,
                "result": AttemptResult.model_validate(outcome["result"]) if outcome else None,
                **self._common(error),
            }
        )

    def refuse(self, error: Exception) -> AttemptReport:
        """Ends an attempt that does not run: its spec can no longer be used, or it is not wanted any more."""
        self._replay = False
        report = self.report(error=error)
        self.finish(report)
        return report

    def _tell_tracker(self, report: AttemptReport) -> None:
        if self.task.mlflow_uri and not _is_pause(report):  # its run stays open for the next attempt
            from trainer.tracking.run_log import tell_end

            tell_end(self.task, report, again=self._replay)

    def _write(self, report: AttemptReport) -> None:
        write_report(report, self.dir.report)

    def _say_end(self, report: AttemptReport) -> None:
        if report.error and _is_pause(report):
            say(report.error.message)  # "paused at iteration …": it is no failure, nor was it cancelled
        elif report.error:
            say(f"{report.state}: {report.error.type}: {report.error.message}")
        elif report.result and (scores := report.result.scores):
            measured = f"mIoU {score_text(scores.mIoU)}, mAcc {score_text(scores.mAcc)}"
            say(f"completed: {measured}, {self.dir.report}")


def _is_pause(report: AttemptReport) -> bool:
    return report.error is not None and report.error.type == Paused.__name__


def score_text(score: float | None) -> str:
    """A score as text; no class of the split may have one."""
    return "undefined" if score is None else f"{score:.2f}"
