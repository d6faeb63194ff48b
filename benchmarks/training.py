"""What a training step costs: ours beside that of mmsegmentation's own runner, with and without the branch.

DeepLabV3+ R50 and UPerNet Swin-T, each from mmsegmentation's own file for ADE20K: model, auxiliary head,
optimiser and rates; random weights, 150 classes, batch 2, 512², blobs of 10 classes in each picture. On a
CPU SyncBN is BN, on both sides. A step is what the loop does with a batch, hooks included: mmengine's
`IterBasedTrainLoop.run_iter` in float32, as the files have it (`mmseg`), and our `StepLoop.run_iter`, in
float32 and in bf16 with channels_last. Steps of all kinds take turns, in one order and then in its reverse;
ratios are medians over rounds, of the clock, and beside it of processor time, which other programs on the
machine disturb less.

`…_speed_ratio`: how many times faster our baseline is than mmseg. `branch_…_share`: what the region branch
adds to our baseline's step, the worst of all models and precisions measured. Memory is the peak of all
tensors in a step, weights and optimiser state included. bf16 is measured on GPUs, and on CPUs that compute
in it; elsewhere `bf16` says why not.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from mmengine.registry import DefaultScope

from benchmarks._memory import peak_bytes, peak_cuda_bytes
from benchmarks._runners import KINDS, SUBJECTS, Training, make_batch
from trainer.mmseg_adapter.isolation import forget_run, set_backends

BATCH, SIZE = 2, 512
_MIB = 2**20
_CUDA = torch.cuda.is_available()
_FAST_BF16 = ("avx512_bf16", "amx_bf16")
Times = Mapping[str, list[tuple[float, float]]]  # of each kind: seconds by the clock and of processors


def seconds(call: Callable[[], object]) -> tuple[float, float]:
    """Of the clock until the device has done all, and of all our threads on the processors."""
    started, used = time.perf_counter(), time.process_time()
    call()
    if _CUDA:
        torch.cuda.synchronize()
    return time.perf_counter() - started, time.process_time() - used


def take_turns(calls: Mapping[str, Callable[[], object]], rounds: int, warm_up: int) -> Times:
    """The times of `rounds` rounds; `warm_up` more go before them."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    order = list(calls)
    for _ in range(warm_up + rounds):
        for name in order:
            times[name].append(seconds(calls[name]))
        order.reverse()
    return {name: values[warm_up:] for name, values in times.items()}


def ratio(times: Times, above: str, below: str, *, which: int = 0) -> float:
    """Median over rounds; `which`: 0 for the clock, 1 for the processors."""
    pairs = zip(times[above], times[below], strict=True)
    return statistics.median(one[which] / other[which] for one, other in pairs)


def measure(subject: str, kinds: Iterable[str], *, size: int, rounds: int, warm_up: int) -> dict[str, Any]:
    """Seconds and peaks of one model's step, of each kind; what our steps are to mmseg's, and the branch to
    ours.
    """
    batch = make_batch(BATCH, size)
    with TemporaryDirectory() as directory, DefaultScope.overwrite_default_scope("mmseg"):
        trainings = {name: Training(SUBJECTS[subject], KINDS[name], size, directory) for name in kinds}
        try:
            calls = {name: one.stepping(batch) for name, one in trainings.items()}
            times = take_turns(calls, rounds, warm_up)
            peaks = {name: _peak(calls[name]) + one.resident_bytes() for name, one in trainings.items()}
        finally:
            forget_run(next(iter(trainings.values())).runner)
    plain = [name for name in trainings if name != "mmseg" and not name.endswith("_region")]
    return {
        "seconds": {name: round(statistics.median(t for t, _ in times[name]), 3) for name in trainings},
        "peak_mib": {name: round(value / _MIB) for name, value in peaks.items()},
        "first_loss": {name: round(one.losses[0], 6) for name, one in trainings.items()},
        "speed_ratio": {name: round(ratio(times, "mmseg", name), 4) for name in plain},
        "processor_speed_ratio": {name: round(ratio(times, "mmseg", name, which=1), 4) for name in plain},
        "branch": {
            name: {
                "time_share": round(ratio(times, f"{name}_region", name) - 1, 4),
                "processor_time_share": round(ratio(times, f"{name}_region", name, which=1) - 1, 4),
                "memory_share": round(peaks[f"{name}_region"] / peaks[name] - 1, 4),
            }
            for name in plain
            if f"{name}_region" in trainings
        },
    }


def _peak(call: Callable[[], object]) -> int:
    return peak_cuda_bytes(call) if _CUDA else peak_bytes(call)


def processor() -> str:
    """The GPU's name, else the CPU's."""
    if _CUDA:
        return torch.cuda.get_device_name()
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return platform.processor() or platform.machine()


def bf16_hindrance() -> str | None:
    """Why a time in bf16 would say nothing here; None where it does."""
    able = torch.cpu.get_capabilities()
    if _CUDA or any(able.get(name) for name in _FAST_BF16):
        return None
    return f"not measured: {processor()} has neither {' nor '.join(_FAST_BF16)}"


def subjects_and_kinds(*, small: bool, bf16: bool) -> dict[str, list[str]]:
    """What is measured: Swin-T has a target in bf16 alone; a trial takes it in float32 too."""
    float32 = ["mmseg", "float32", "float32_region"]
    if not bf16:
        trial = {"upernet_swin_t": float32[:2]} if small else {}
        return {"deeplabv3plus_r50": float32, **trial}
    return {"deeplabv3plus_r50": list(KINDS), "upernet_swin_t": ["mmseg", "bf16", "bf16_region"]}


def summary(models: Mapping[str, Any]) -> dict[str, float | None]:
    """The figures that have a target; None for what was not measured."""
    deeplab, swin = (models.get(name, {"speed_ratio": {}}) for name in SUBJECTS)
    branches = [one for model in models.values() for one in model["branch"].values()]
    return {
        "bf16_speed_ratio": deeplab["speed_ratio"].get("bf16"),
        "swin_bf16_speed_ratio": swin["speed_ratio"].get("bf16"),
        "float32_speed_ratio": deeplab["speed_ratio"].get("float32"),
        "branch_time_share": max(one["time_share"] for one in branches),
        "branch_memory_share": max(one["memory_share"] for one in branches),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    parser.add_argument("--rounds", type=int, default=30 if _CUDA else 3, help="of steps, counted")
    parser.add_argument("--small", action="store_true", help="32², one round: only a trial")
    options = parser.parse_args()
    hindrance = bf16_hindrance()
    kinds_of = subjects_and_kinds(small=options.small, bf16=hindrance is None)
    setting = {"size": 32 if options.small else SIZE, "rounds": 1 if options.small else options.rounds}
    threads, load = torch.get_num_threads(), os.getloadavg()[1]
    set_backends(threads=threads, deterministic=False)
    models: dict[str, Any] = {}
    for subject, kinds in kinds_of.items():
        models[subject] = measure(subject, kinds, warm_up=5 if _CUDA else 1, **setting)
        if not options.json:
            print(f"{subject}: {models[subject]}")
    result: dict[str, Any] = {
        "benchmark": "training",
        **summary(models),
        "bf16": hindrance or "measured, with channels_last",
        **models,
        "setting": {"batch": BATCH, "classes": 150, **setting},
        "small": options.small,
        "processor": processor(),
        **{name: bool(torch.cpu.get_capabilities().get(name)) for name in _FAST_BF16},
        "threads": threads,
        "cpus": os.cpu_count(),
        "load_before_and_after": [round(load, 1), round(os.getloadavg()[1], 1)],
        "torch": torch.__version__,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
