"""Mean features of regions, forward and backward: ours against upsampling first, and how our time grows.

The written-out way upsamples the features to label size, multiplies with one-hot labels and divides by the
pixel counts. Both ways run in one process, turn by turn; milliseconds and MiB, medians. Memory is the peak of
all tensors allocated beyond the features, the labels and the features' gradient, from torch's profiler.

How our time grows is measured with the C library told to keep freed memory: by default it gives every block
of 32 MiB or more back, so that large maps cost a page fault for each 4 KiB of their gradient, at every step.
`freed_memory_kept` has the main comparison under the same condition.

Letters: N images, K classes, D channels, H W label size, h w feature size, R regions.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import json
import operator
import os
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks._memory import peak_bytes
from trainer.losses.region import region_mean_features

IGNORE = 255
_MIB = 2**20
_MALLOPT = {"trim": -1, "mmap": -3}  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of glibc's malloc.h
Pool = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Setting:
    """One measurement. Feature and label maps are square; `present` classes occur in each image."""

    images: int = 2
    channels: int = 128
    feature_side: int = 128
    label_side: int = 512
    classes: int = 150
    present: int = 10
    threads: int = 1


MAIN = Setting()
COMPARED: dict[str, Setting] = {
    "two_threads": replace(MAIN, threads=2),
    "present_32": replace(MAIN, present=32),
    "channels_512_classes_171": replace(MAIN, channels=512, classes=171),
}
GROWTH: dict[str, list[tuple[int, Setting]]] = {
    "images": [(n, replace(MAIN, images=n)) for n in (1, 2, 4, 8)],
    "channels": [(d, replace(MAIN, channels=d)) for d in (64, 128, 256, 512, 1024)],
    # The feature map stays at a quarter of the labels' side, as in training.
    "label_side": [(s, replace(MAIN, label_side=s, feature_side=s // 4)) for s in (128, 256, 512, 1024)],
    "present": [(p, replace(MAIN, present=p)) for p in (1, 2, 4, 8, 16, 32, 64)],
}


def make_case(setting: Setting) -> tuple[Tensor, Tensor, Tensor]:
    """(N, D, h, w) float32 features that want a gradient, (N, H, W) int64 labels, (R, D) upstream gradient.

    The labels are contiguous blobs: every pixel takes the class of the nearest of `present` random points.
    2 % of the rows are ignored.
    """
    generator = torch.Generator().manual_seed(0)
    side = setting.feature_side
    features = torch.randn(setting.images, setting.channels, side, side, generator=generator)
    place = torch.arange(setting.label_side)
    target = torch.empty(setting.images, setting.label_side, setting.label_side, dtype=torch.int64)
    for labels in target:
        nearest = torch.full(labels.shape, 2 * setting.label_side**2)
        for class_id in torch.randperm(setting.classes, generator=generator)[: setting.present]:
            row, column = torch.randint(0, setting.label_side, (2,), generator=generator)
            distance = (place[:, None] - row).square() + (place - column).square()
            closer = distance < nearest
            nearest[closer], labels[closer] = distance[closer], class_id
    target[:, : setting.label_side // 50] = IGNORE
    upstream = torch.randn(setting.images * setting.present, setting.channels, generator=generator)
    return features.requires_grad_(), target, upstream


def written_out(features: Tensor, target: Tensor, *, num_classes: int) -> Tensor:
    """(R, D) means over masks of the upsampled features, with no tensor more than it takes."""
    full = functional.interpolate(features, size=target.shape[1:], mode="bilinear", align_corners=False)
    labels = torch.where(target == IGNORE, num_classes, target).flatten(1)
    masks = full.new_zeros(len(target), num_classes + 1, labels.shape[1])
    masks = masks.scatter_(1, labels[:, None], 1.0)[:, :num_classes]  # (N, K, H*W)
    sums, counts = masks @ full.flatten(2).transpose(1, 2), masks.sum(dim=2)
    present = counts > 0
    return sums[present] / counts[present][:, None]


def both_ways(num_classes: int) -> dict[str, Pool]:
    def ours(features: Tensor, target: Tensor) -> Tensor:
        return region_mean_features(features, target, num_classes=num_classes, ignore_index=IGNORE).features

    def theirs(features: Tensor, target: Tensor) -> Tensor:
        return written_out(features, target, num_classes=num_classes)

    return {"ours": ours, "written_out": theirs}


def step(pool: Pool, features: Tensor, target: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor]:
    """(R, D) means, and the gradient of <means, upstream> by the features."""
    rows = pool(features, target)
    (gradient,) = torch.autograd.grad(rows, features, upstream[: len(rows)])
    return rows.detach(), gradient


def milliseconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - started)


def relative_error(actual: Tensor, expected: Tensor) -> float:
    return float((actual - expected).abs().max() / expected.abs().max())


def compare(setting: Setting, repeats: int) -> dict[str, Any]:
    """Both ways in turn: medians, peaks, their ratios, and the largest differences."""
    torch.set_num_threads(setting.threads)
    features, target, upstream = make_case(setting)
    calls = {
        name: functools.partial(step, pool, features, target, upstream)
        for name, pool in both_ways(setting.classes).items()
    }
    (rows, gradient), (wanted_rows, wanted_gradient) = (call() for call in calls.values())  # warms up
    errors = relative_error(rows, wanted_rows), relative_error(gradient, wanted_gradient)
    del rows, gradient, wanted_rows, wanted_gradient
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            times[name].append(milliseconds(call))
    medians = {name: statistics.median(values) for name, values in times.items()}
    peaks = {name: peak_bytes(call, without=operator.itemgetter(1)) for name, call in calls.items()}
    return {
        "speed_ratio": round(medians["written_out"] / medians["ours"], 1),
        "memory_ratio": round(peaks["written_out"] / peaks["ours"], 1),
        "max_error": float(f"{errors[0]:.1e}"),
        "max_gradient_error": float(f"{errors[1]:.1e}"),
        "milliseconds": {name: round(value, 1) for name, value in medians.items()},
        "peak_mib": {name: round(value / _MIB, 1) for name, value in peaks.items()},
        "setting": asdict(setting),
    }


def our_milliseconds(setting: Setting, repeats: int) -> float:
    """Median of our time for forward and backward, after a warm-up."""
    torch.set_num_threads(setting.threads)
    features, target, upstream = make_case(setting)
    ours = both_ways(setting.classes)["ours"]
    runs = [milliseconds(lambda: step(ours, features, target, upstream)) for _ in range(repeats + 1)]
    return statistics.median(runs[1:])


def keep_freed_memory() -> bool:
    """Makes glibc's malloc reuse freed blocks up to 1 GiB instead of unmapping them; False elsewhere."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(mallopt(option, 2**30) for option in _MALLOPT.values())


def growth(cases: Iterable[tuple[int, Setting]], repeats: int) -> dict[str, float]:
    return {str(value): round(our_milliseconds(setting, repeats), 2) for value, setting in cases}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    parser.add_argument("--runs", type=int, default=7, help="counted; one more goes before them")
    options = parser.parse_args()
    result: dict[str, Any] = {
        "benchmark": "region_pooling",
        **compare(MAIN, options.runs),
        **{name: compare(setting, options.runs) for name, setting in COMPARED.items()},
    }
    kept = compare(MAIN, options.runs) if keep_freed_memory() else None
    result |= {
        "freed_memory_kept": kept and {name: kept[name] for name in ("speed_ratio", "milliseconds")},
        "our_milliseconds_by": {name: growth(cases, options.runs) for name, cases in GROWTH.items()},
        "runs": options.runs,
        "cpus": os.cpu_count(),
        "torch": torch.__version__,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
