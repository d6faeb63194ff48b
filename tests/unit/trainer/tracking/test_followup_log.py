"""What follow-ups leave in their experiment's MLflow run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.data_factories import scores_of, spec_document
from trainer.results.followup import (
    EvaluationResult,
    ExportedFile,
    ExportResult,
    FollowupReport,
    FollowupResult,
    PredictionResult,
    write_followup_report,
)
from trainer.spec.followups import Format, parse_followup
from trainer.spec.spec import parse_spec
from trainer.storage.layout import Storage
from trainer.task import Task
from trainer.tracking.content.trained import Scored, TrainedModel
from trainer.tracking.followup_log import is_tracked, send_followups

OF: dict[str, Any] = {"checkpoint": "runs/e1/checkpoints/iter_5.pth", "iteration": 5, "versions": {}}


class Sent:
    """A tracker that notes the names of what it is sent."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def log_trained(self, model: TrainedModel, scored: list[Scored]) -> None:
        for each in scored:
            named = [name for name in each.values if name.endswith("/mIoU")]
            self.names += [f"{model.key} on {each.dataset.name}: {name}" for name in named]

    def log_tables(self, tables: dict[str, object]) -> None:
        self.names += tables

    def log_file(self, path: Path, folder: str = "") -> None:
        self.names.append(f"{folder}/{path.name}")

    def log_model(self, folder: Path, name: str) -> None:
        self.names.append(f"model {name}: {folder.name}")


def reported(result: FollowupResult, followup: str, **request: Any) -> FollowupReport:
    return FollowupReport(
        followup=followup,
        experiment="e1",
        attempt=1,
        state="completed",
        request=parse_followup({"kind": result.kind, "checkpoint": 5, **request}),
        result=result,
        started_at="2026-01-02T03:04:05+00:00",
        ended_at="2026-01-02T03:05:05+00:00",
    )


def an_evaluation() -> EvaluationResult:
    scores = {"single_scale": scores_of([[8, 2], [1, 5]])}
    return EvaluationResult(**OF, evaluation=scores, dataset="camvid-test", eval_images=2, eval_seconds=1.0)


def an_export(*formats: Format) -> ExportResult:
    files = [
        ExportedFile(format=name, path=name, bytes=1, sha256=None, pictures=1, differing=0.0)
        for name in formats
    ]
    return ExportResult(**OF, files=tuple(files), refused={})


@pytest.mark.parametrize(
    ("result", "request_", "tracked"),
    [
        (an_evaluation(), {}, True),
        (an_export("mlflow", "mmseg"), {"formats": ["mlflow", "mmseg"]}, True),
        (an_export("mmseg"), {"formats": ["mlflow", "mmseg"]}, False),
        (PredictionResult(**OF, height=2, width=2, pixels={}), {}, False),
    ],
)
def test_what_belongs_there(result: FollowupResult, request_: dict[str, Any], tracked: bool) -> None:
    """Scores, and a model in MLflow's own form if it was kept."""
    assert is_tracked(reported(result, "f", **request_)) is tracked


def test_all_that_were_completed(tmp_path: Path) -> None:
    """Scores by data set, checkpoint and mode, a model by its checkpoint; a damaged report stops none."""
    storage, tracker = Storage.at(tmp_path), Sent()
    reports = [
        reported(an_evaluation(), "eval-2"),
        reported(an_export("mlflow"), "expo-1", formats=["mlflow"]),
        reported(an_export("mlflow"), "expo-2", formats=["mlflow"]),
    ]
    for report in reports:
        write_followup_report(report, storage.followup("e1", report.followup).attempt(1).report)
    storage.followup("e1", "eval-1").attempt(1).report.write("{")
    storage.followup("e1", "expo-1").export.file("mlflow/MLmodel").write("here")  # expo-2's was cleared away
    stand_in: Any = tracker
    attempt = Task(experiment="e1", attempt=1, spec=parse_spec(spec_document()), storage=str(tmp_path))
    send_followups(attempt, stand_in)
    assert tracker.names == [
        "5 on camvid-test: again/camvid-test/5/single_scale/mIoU",
        "evaluations/eval-2/per_class_single_scale",
        "evaluations/eval-2/report.json",
        "model 5: mlflow",
    ]
