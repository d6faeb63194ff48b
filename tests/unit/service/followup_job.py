"""What a follow-up's job leaves, without a job."""

from __future__ import annotations

from typing import Any

from service.store.records import Followup
from tests.data_factories import scores_of
from trainer.results.followup import (
    EvaluationResult,
    ExportedFile,
    ExportResult,
    FollowupReport,
    FollowupResult,
    PredictionResult,
    write_followup_report,
)
from trainer.results.report import AttemptError
from trainer.spec.followups import AnyRequest, parse_followup
from trainer.storage.layout import Storage

REQUESTS: dict[str, dict[str, Any]] = {
    "evaluation": {"modes": ["single_scale", "multi_scale"]},
    "prediction": {},
    "export": {"formats": ["safetensors"]},
}


def request(kind: str = "evaluation", **changes: Any) -> AnyRequest:
    """A request of this kind."""
    return parse_followup({"kind": kind, **REQUESTS[kind], **changes})


def followup_report(row: Followup, **changes: Any) -> FollowupReport:
    """A completed report of the row's attempt."""
    fields: dict[str, Any] = {
        "followup": row.id,
        "experiment": row.experiment_id,
        "attempt": row.attempt,
        "state": "completed",
        "request": request(row.kind),
        "result": _result(row),
        "started_at": "2026-01-02T03:04:05+00:00",
        "ended_at": "2026-01-02T03:05:05+00:00",
    }
    return FollowupReport(**(fields | changes))


def failed_followup(row: Followup, *, retryable: bool = False) -> FollowupReport:
    """A report with an error."""
    error = AttemptError(type="CheckpointError", message="final.pth is damaged", retryable=retryable)
    return followup_report(row, state="failed", result=None, error=error)


def leave(storage: Storage, report: FollowupReport) -> None:
    """Writes it where the job does."""
    here = storage.followup(report.experiment, report.followup)
    write_followup_report(report, here.attempt(report.attempt).report)


def _result(row: Followup) -> FollowupResult:
    of: dict[str, Any] = {
        "checkpoint": f"runs/{row.experiment_id}/checkpoints/final.pth",
        "iteration": 1000,
        "versions": {"torch": "2.13.0"},
    }
    if row.kind == "prediction":
        return PredictionResult(**of, height=4, width=6, pixels={"class 0": 24})
    if row.kind == "export":
        file = ExportedFile(
            format="safetensors",
            path="model.safetensors",
            bytes=5,
            sha256="0" * 64,
            pictures=2,
            differing=0.0,
        )
        return ExportResult(**of, files=(file,), refused={})
    modes = {"single_scale": scores_of([[8, 2], [1, 5]]), "multi_scale": scores_of([[9, 1], [1, 5]])}
    return EvaluationResult(
        **of, evaluation=modes, dataset="digit_scenes", eval_images=600, eval_seconds=2.0, pictures=("p0",)
    )
