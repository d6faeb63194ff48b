"""What an optimiser and its schedulers make of a model's parameters: numbers to compare, without training."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS, DefaultScope

from trainer.mmseg_adapter.model.outline import outline

Settings = dict[str, tuple[float, float]]  # name of a parameter: rate and decay at the start
Rates = np.ndarray[Any, np.dtype[np.float64]]


def in_steps(schedulers: list[dict[str, Any]], parts: int) -> list[dict[str, Any]]:
    """Schedulers that count steps of the optimiser, of ones that count parts of a batch."""
    return [{**one, "begin": one["begin"] // parts, "end": one["end"] // parts} for one in schedulers]


def settings(model: dict[str, Any], optim_wrapper: dict[str, Any]) -> Settings:
    built = outline(model)
    names = {parameter: name for name, parameter in built.named_parameters()}
    with DefaultScope.overwrite_default_scope("mmseg"):
        groups = build_optim_wrapper(built, optim_wrapper).optimizer.param_groups
    return {names[one]: (group["lr"], group["weight_decay"]) for group in groups for one in group["params"]}


def rates(schedulers: list[dict[str, Any]], starts: list[float], steps: int) -> Rates:
    """(steps, groups) rates with which each step moves groups that begin with `starts`."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])
    # All at once: schedulers only do arithmetic with it.
    optimizer.param_groups[0]["lr"] = starts[0] if len(starts) == 1 else np.array(starts)
    with DefaultScope.overwrite_default_scope("mmseg"):
        built = [
            PARAM_SCHEDULERS.build(dict(one), default_args={"optimizer": optimizer}) for one in schedulers
        ]
    optimizer.step()
    seen = np.empty((steps, len(starts)))
    for step in range(steps):
        seen[step] = optimizer.param_groups[0]["lr"]
        for scheduler in built:
            scheduler.step()
    return seen
