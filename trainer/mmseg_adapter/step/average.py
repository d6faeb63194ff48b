"""An exponential average of the weights, which is scored and kept in their place."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import is_model_wrapper
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

_NAME = "weight_average"  # the runner's attribute


def begin_average(runner: Any, decay: float) -> None:
    """From now on the runner has an average: `decay` times itself and the rest of the weights, at each step.

    The first step's weights begin it. Running statistics of norms are averages already, and are copied.
    """
    update: Any = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    average = AveragedModel(bare(runner.model), multi_avg_fn=update)
    setattr(runner, _NAME, average.eval())


def average_of(runner: Any) -> AveragedModel | None:
    """The runner's average, None where none was asked for."""
    found: AveragedModel | None = getattr(runner, _NAME, None)
    return found


def scored(runner: Any) -> torch.nn.Module:
    """The model that is scored and kept: the average, else the one that is trained."""
    average = average_of(runner)
    inner: torch.nn.Module = bare(runner.model) if average is None else average.module
    return inner


def bare(model: torch.nn.Module) -> torch.nn.Module:
    """The model without its DDP wrapper."""
    inner = model.module if is_model_wrapper(model) else model
    assert isinstance(inner, torch.nn.Module)
    return inner
