"""A step that is taken in parts is the step of its whole batch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.factories import ListSink, tiny_plan
from tests.variants import VARIANTS
from trainer.mmseg_adapter.head import deployable_state
from trainer.mmseg_adapter.isolation import forget_run
from trainer.mmseg_adapter.step.average import bare
from trainer.mmseg_adapter.step.loop import in_parts, merged
from trainer.plan import Plan
from trainer.run.runner import Evaluations, build_runner

_BATCH_BY_BATCH = {"ohem", "seesaw", "recall"}  # refused beside `accumulate`
_ONE_STEP = {"iterations": 1, "batch_size": 16, "learning_rate": 1.0}
_AUXILIARY = {
    "type": "FCNHead", "in_channels": 56, "in_index": 1, "channels": 16, "num_convs": 1,
    "concat_input": False, "dropout_ratio": 0.0,
    "num_classes": 11, "ignore_index": 255, "align_corners": False,
}  # fmt: skip


def accumulable() -> list[str]:
    """Variants whose divisor follows from labels, without noise and batch norm, which see their own part."""
    return [
        name
        for name, document in VARIANTS.items()
        if document["kind"] not in {*_BATCH_BY_BATCH, "blv"}
        and document.get("scope", "batch" if document["kind"] == "lovasz" else "image") == "image"
        and "projection" not in document
    ]


def without_batch_norm(plan: Plan, *, average: str) -> Plan:
    """The plan with group norm, and with an auxiliary head."""
    document = plan.model_dump(mode="json")
    model, norm = document["config"]["model"], {"type": "GN", "num_groups": 2}
    model["backbone"]["norm_cfg"] = model["decode_head"]["norm_cfg"] = norm
    loss = {"type": "CrossEntropyLoss", "loss_weight": 0.4, "avg_non_ignore": average == "valid"}
    model["auxiliary_head"] = {**_AUXILIARY, "norm_cfg": norm, "loss_decode": loss}
    return Plan.model_validate_json(json.dumps(document))


def after_training(plan: Plan) -> tuple[dict[str, torch.Tensor], ListSink]:
    """Weights, with the branch's, after the plan's iterations without any dropout; what was logged."""
    sink = ListSink()
    runner = build_runner(plan, sink, Evaluations(plan, sink))
    try:
        model = bare(runner.model)
        for module in model.modules():
            if hasattr(module, "dropout") and isinstance(module.dropout, float):
                module.dropout = 0.0
        before = {name: value.detach().clone() for name, value in model.named_parameters()}
        runner.train()
        moved = {name: value.detach() - before[name] for name, value in model.named_parameters()}
        assert deployable_state(model)
    finally:
        forget_run(runner)
    return moved, sink


def step_of(storage: Path, name: str, method: Any, average: str, accumulate: int) -> Any:
    schedule = {**_ONE_STEP, "loss_average": average, "accumulate": accumulate}
    plan = tiny_plan(storage, experiment=f"{name}-{accumulate}", method=method, schedule=schedule)
    return after_training(without_batch_norm(plan, average=average))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variant", "average"),
    [*((name, "valid") for name in accumulable()), ("baseline", "all"), ("region_rebalance", "all")],
)
def test_four_parts_are_one_batch(tmp_path: Path, variant: str, average: str) -> None:
    """4 × 4 pictures move every weight as 16 do, to 1e-6 of the largest move; so do the logged losses.

    With auxiliary head, without batch norm and dropout; labels with void, in unequal amounts.
    """
    whole, whole_sink = step_of(tmp_path, "whole", VARIANTS[variant], average, 1)
    parts, parts_sink = step_of(tmp_path, "parts", VARIANTS[variant], average, 4)
    largest = max(float(move.abs().max()) for move in whole.values())
    worst = max(float((whole[name] - parts[name]).abs().max()) for name in whole)
    assert worst <= 1e-6 * max(1.0, largest)
    one, other = whole_sink.records[0], parts_sink.records[0]
    losses = [name for name in one if "loss" in name]
    assert "aux.loss_ce" in losses or "auxiliary.loss_ce" in losses
    assert [other[name] for name in losses] == pytest.approx([one[name] for name in losses], rel=1e-5)


def test_a_batch_in_parts() -> None:
    """Equal parts, in order, of every list in the batch."""
    batch = {"inputs": [1, 2, 3, 4], "data_samples": ["a", "b", "c", "d"]}
    assert in_parts(batch, 1) == [batch]
    assert in_parts(batch, 2) == [
        {"inputs": [1, 2], "data_samples": ["a", "b"]},
        {"inputs": [3, 4], "data_samples": ["c", "d"]},
    ]


def test_what_is_logged_of_parts() -> None:
    """Losses add up to the step's; of anything else the mean counts, over the parts that have it."""
    nan = torch.tensor(float("nan"))
    parts = [
        {"loss": torch.tensor(1.0), "region_acc": torch.tensor(50.0)},
        {"loss": torch.tensor(2.0), "region_acc": nan},
    ]
    assert merged(parts) == {"loss": 3.0, "region_acc": 50.0}
