"""One worker of a follow-up: alone, or a rank as Ray Train calls it."""

from __future__ import annotations

from typing import Any, assert_never

from trainer.followups.task import FollowupPlan
from trainer.mmseg_adapter import quiet_imports
from trainer.results.followup import EvaluationResult, ExportResult, PredictionResult
from trainer.spec.followups import EvaluationRequest, ExportRequest, PredictionRequest


def work(text: str) -> dict[str, Any]:
    """What a plan, as JSON, asks for: the result, as JSON has it; the same on every rank.

    Raises:
        CheckpointError: the checkpoint is not there, damaged, or of other classes.
        DataError: a picture cannot be read.
        torch.cuda.OutOfMemoryError, …: whatever the model raises.
    """
    plan = FollowupPlan.model_validate_json(text)
    with quiet_imports():
        import torch

        from trainer.mmseg_adapter.isolation import set_backends

    resources = plan.resources
    set_backends(threads=resources.cpus_per_worker, deterministic=plan.spec.schedule.deterministic)
    on_gpu = resources.gpus_per_worker > 0 and torch.cuda.is_available()
    return _result(plan, torch.device("cuda" if on_gpu else "cpu")).model_dump(mode="json")


def rank(config: dict[str, Any]) -> dict[str, Any]:
    """`work` as Ray Train calls it."""
    return work(config["plan"])


def _result(plan: FollowupPlan, device: Any) -> EvaluationResult | PredictionResult | ExportResult:
    with quiet_imports():
        from trainer.followups.evaluate import evaluate
        from trainer.followups.export import export
        from trainer.followups.predict import predict

    match plan.request:
        case EvaluationRequest():
            return evaluate(plan, plan.request, device)
        case PredictionRequest():
            return predict(plan, plan.request, device)
        case ExportRequest():
            return export(plan, plan.request)
        case never:
            assert_never(never)
