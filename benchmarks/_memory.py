"""How much memory a call takes: the tensors that are alive at one time."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

T = TypeVar("T")


def peak_bytes(call: Callable[[], T], *, without: Callable[[T], Tensor] | None = None) -> int:
    """The most bytes of tensors alive at one time during `call`, beyond those that were before it. On a CPU,
    from torch's profiler.

    `without`: picks from what the call returns a tensor that is left out, such as an input's gradient.
    """
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as profiled:
        result = call()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "trace.json"
        profiled.export_chrome_trace(str(path))
        trace: list[dict[str, Any]] = json.loads(path.read_text())["traceEvents"]
    changes = sorted((event for event in trace if event["name"] == "[memory]"), key=lambda event: event["ts"])
    if without is not None:
        address = without(result).untyped_storage().data_ptr()
        del changes[max(i for i, event in enumerate(changes) if event["args"]["Addr"] == address)]
    alive = peak = 0
    for event in changes:
        alive += event["args"]["Bytes"]
        peak = max(peak, alive)
    return peak


def peak_cuda_bytes(call: Callable[[], object]) -> int:
    """The same on the current GPU, from torch's allocator."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before
