"""One attempt at a follow-up, from its request to report.json."""

from __future__ import annotations

from typing import Any

from trainer.followups.task import FollowupTask
from trainer.results.followup import EvaluationResult, FollowupReport, write_followup_report
from trainer.run.attempt import score_text
from trainer.run.reported import ReportedWork, say

Outcome = dict[str, Any]  # a FollowupResult, as JSON has it


class FollowupAttempt(ReportedWork[Outcome, FollowupReport]):
    """A task as it runs. `begun` is when this process began."""

    def __init__(self, task: FollowupTask, *, begun: float | None = None) -> None:
        super().__init__(
            task.attempt_dir,
            f"{task.request.kind} {task.followup} of experiment {task.experiment}, attempt {task.attempt}",
            mlflow_run=task.layout.mlflow_run(task.experiment),
            begun=begun,
        )
        self.task = task

    def report(self, *, outcome: Outcome | None = None, error: BaseException | None = None) -> FollowupReport:
        """What there is to report."""
        task = self.task
        return FollowupReport.model_validate(
            {
                "followup": task.followup,
                "experiment": task.experiment,
                "attempt": task.attempt,
                "request": task.request,
                "result": outcome,
                **self._common(error),
            }
        )

    def _tell_tracker(self, report: FollowupReport) -> None:
        task = self.task
        if not task.mlflow_uri:
            return
        from trainer.tracking.followup_log import is_tracked, tell_followup

        if is_tracked(report):
            notice = tell_followup(task.layout, report, uri=task.mlflow_uri, tags=task.mlflow_tags)
            if notice is not None:
                self.notice(notice)

    def _write(self, report: FollowupReport) -> None:
        write_followup_report(report, self.dir.report)

    def _say_end(self, report: FollowupReport) -> None:
        if report.error:
            say(f"{report.state}: {report.error.type}: {report.error.message}")
            return
        if isinstance(report.result, EvaluationResult):
            for mode, scores in report.result.evaluation.items():
                say(f"{mode}: mIoU {score_text(scores.mIoU)}, mAcc {score_text(scores.mAcc)}")
        say(f"completed: {self.dir.report}")
