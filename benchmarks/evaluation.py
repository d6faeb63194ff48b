"""What evaluation costs beyond the forward pass, for one picture: ours against mmsegmentation's own way.

From a head's logits to confusion counts: 150 classes, 128×171 cells, a picture of 512×683. The other way is
a bilinear resize to the picture, argmax, and the histograms of IoUMetric (a validation loop of mmsegmentation
resizes a second time, to the same size; that is left out). Both run in one process, turn by turn; medians.
Memory is the peak of all tensors allocated beyond the logits and the mask, from torch's profiler.

`blobs` are smooth logits, as a trained head gives them; in `noise`, the worst case, nearly every pixel lies
between cells of different classes. `interpolated` is the share of such pixels, `differing` that of pixels
with another label than mmsegmentation's.

`multi_scale_time_ratio` and `multi_scale_memory_ratio` compare in the same way what twelve views of that
picture cost, from their stored head logits to labels: six scales, each mirrored as well, beside
mmsegmentation's `SegTTAModel` (see `_merging.py`). The profiler sees one thread, so memory is measured with
one; each thread more has tiles of its own, 2 MiB. `whole_model` is one picture from its pixels to its labels,
the model's own work in it: without a target.

Letters: K classes, H W label size, h w the logits' size.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks._memory import peak_bytes
from trainer.mmseg_adapter import quiet_imports

with quiet_imports():
    import mmseg.models  # noqa: F401 - fills mmseg's registries
    from mmengine.config import Config
    from mmengine.registry import DefaultScope
    from mmseg.evaluation.metrics import IoUMetric
    from mmseg.models.utils import resize
    from mmseg.registry import MODELS

    from benchmarks._merging import make_views, mmsegs_merge, our_merge
    from trainer.mmseg_adapter.isolation import quiet_logger
    from trainer.mmseg_adapter.model.config import network_of, render_model, revive
    from trainer.mmseg_adapter.scoring.labels import labels_of
    from trainer.mmseg_adapter.scoring.metric import ConfusionMetric
    from trainer.mmseg_adapter.scoring.predictor import Predictor, way_of
from trainer.spec.evaluation import MODES
from trainer.spec.spec import parse_spec

_MODEL = "deeplabv3plus/deeplabv3plus_r50-d8_4xb4-160k_ade20k-512x512"
K, IGNORE = 150, 255
METRIC = ConfusionMetric(num_classes=K, ignore_index=IGNORE)
CELLS, SIZE, COARSE = (128, 171), (512, 683), (6, 8)
Way = Callable[[Tensor, Tensor], Tensor]


class Frame(NamedTuple):
    """Sizes of a picture that is seen in several views."""

    picture: tuple[int, int]  # height, width
    test_size: tuple[int, int]


FRAME, SMALL = Frame(SIZE, (2048, 512)), Frame((64, 86), (256, 64))


def make_cases() -> dict[str, Tensor]:
    """(1, K, h, w) float32 logits by name."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, K, *COARSE, generator=generator)
    blobs = functional.interpolate(coarse, size=CELLS, mode="bicubic", align_corners=False)
    noise = torch.randn(1, K, *CELLS, generator=generator)
    return {"blobs": blobs + 0.02 * noise, "noise": noise}


def make_target(logits: Tensor) -> Tensor:
    """(1, H, W) int64: what the logits say, moved by a few pixels; the first rows are ignored."""
    target = labels_of(logits, SIZE, align_corners=False).roll((3, 5), dims=(1, 2))
    target[:, : SIZE[0] // 50] = IGNORE
    return target


def mmsegs_way(logits: Tensor, target: Tensor) -> Tensor:
    """(1, H, W) labels, counted as mmsegmentation counts."""
    full = resize(logits, size=SIZE, mode="bilinear", align_corners=False)
    labels: Tensor = full.squeeze(0).argmax(dim=0, keepdim=True)
    IoUMetric.intersect_and_union(labels.squeeze(), target.squeeze(), K, IGNORE)
    return labels


def our_way(logits: Tensor, target: Tensor) -> Tensor:
    """(1, H, W) labels, counted as our runs count."""
    labels = labels_of(logits, SIZE, align_corners=False)
    sample = {"img_path": "", "pred_sem_seg": {"data": labels}, "gt_sem_seg": {"data": target}}
    METRIC.process({}, [sample])
    return labels


WAYS: dict[str, Way] = {"ours": our_way, "mmseg": mmsegs_way}


def milliseconds(way: Way, logits: Tensor, target: Tensor) -> float:
    begun = time.perf_counter()
    way(logits, target)
    return 1000 * (time.perf_counter() - begun)


@torch.no_grad()
def compare(logits: Tensor, *, threads: int, repeats: int) -> dict[str, Any]:
    """Both ways in turn: medians, peaks, the ratios of ours to mmsegmentation's, and what differs."""
    torch.set_num_threads(threads)
    target = make_target(logits)
    differing = (our_way(logits, target) != mmsegs_way(logits, target)).float().mean()  # warms up, too
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(repeats):
        for name, way in WAYS.items():
            times[name].append(milliseconds(way, logits, target))
    medians = {name: statistics.median(values) for name, values in times.items()}
    peaks = {name: peak_bytes(functools.partial(way, logits, target)) for name, way in WAYS.items()}
    return {
        "time_ratio": round(medians["ours"] / medians["mmseg"], 3),
        "memory_ratio": round(peaks["ours"] / peaks["mmseg"], 3),
        "differing": float(f"{differing:.1e}"),
        "milliseconds": {name: round(value, 1) for name, value in medians.items()},
        "peak_mib": {name: round(value / 2**20, 1) for name, value in peaks.items()},
        "threads": threads,
    }


@torch.no_grad()
def compare_merging(kind: str, frame: Frame, *, threads: int, repeats: int) -> dict[str, Any]:
    """Twelve views merged in both ways, in turn: medians, peaks, ratios of ours to mmsegmentation's."""
    coarse = torch.randn(1, K, *COARSE, generator=torch.Generator().manual_seed(0))
    blobs = kind == "blobs"
    views = make_views(coarse, frame.picture, frame.test_size, 0.02 if blobs else 1.0, blobs=blobs)
    calls = {
        name: functools.partial(merge, views, frame.picture)
        for name, merge in (("ours", our_merge), ("mmseg", mmsegs_merge))
    }
    torch.set_num_threads(threads)
    differing = (calls["ours"]() != calls["mmseg"]()).float().mean()  # warms up, too
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            begun = time.perf_counter()
            call()
            times[name].append(1000 * (time.perf_counter() - begun))
    medians = {name: statistics.median(values) for name, values in times.items()}
    torch.set_num_threads(1)
    peaks = {name: peak_bytes(call) for name, call in calls.items()}
    return {
        "multi_scale_time_ratio": round(medians["ours"] / medians["mmseg"], 3),
        "multi_scale_memory_ratio": round(peaks["ours"] / peaks["mmseg"], 3),
        "multi_scale_differing": float(f"{differing:.1e}"),
        "multi_scale_milliseconds": {name: round(value, 1) for name, value in medians.items()},
        "multi_scale_peak_mib": {name: round(value / 2**20, 1) for name, value in peaks.items()},
    }


@torch.no_grad()
def whole_model(name: str, frame: Frame) -> dict[str, float]:
    """Milliseconds of one picture in two modes, after one before it; `name`: of the catalogue, or mmseg's."""
    spec = parse_spec(
        {
            "dataset": "ade20k",
            "model": {"mmseg": name} if "/" in name else name,
            "method": "baseline",
            "schedule": {"iterations": 1, "learning_rate": 0.1, "crop_size": [512, 512]},
            "augmentation": {"test_size": list(frame.test_size)},
        }
    )
    with DefaultScope.overwrite_default_scope("mmseg"):
        quiet_logger("whole-model")
        model = MODELS.build(Config(revive(render_model(network_of(spec), spec, num_classes=K)))).eval()
    picture = np.random.default_rng(0).integers(0, 256, (*frame.picture, 3), dtype=np.uint8)
    found = {}
    for mode in ("single_scale", "multi_scale"):
        predictor = Predictor(model, MODES[mode], way_of(spec))
        predictor.labels(picture)
        begun = time.perf_counter()
        predictor.labels(picture)
        found[mode] = round(1000 * (time.perf_counter() - begun), 1)
    return found


def interpolated(logits: Tensor) -> float:
    """The share of cells whose neighbours to the right and below do not all have the same leading class."""
    leaders = logits.argmax(dim=1)
    here = leaders[:, :-1, :-1]
    others = (leaders[:, :-1, 1:], leaders[:, 1:, :-1], leaders[:, 1:, 1:])
    return float(torch.stack([here != other for other in others]).any(dim=0).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    parser.add_argument("--repeats", type=int, default=11, help="counted; one more goes before them")
    parser.add_argument("--merges", type=int, default=3, help="the same of twelve views")
    parser.add_argument("--model", default=_MODEL, help="that is taken whole")
    parser.add_argument("--small", action="store_true", help="views of a small picture: only a trial")
    options = parser.parse_args()
    frame = SMALL if options.small else FRAME
    found: dict[str, Any] = {}
    for name, logits in make_cases().items():
        found[name] = {"interpolated": round(interpolated(logits), 3)}
        for threads in (2, 1):
            measured = compare(logits, threads=threads, repeats=options.repeats)
            measured |= compare_merging(name, frame, threads=threads, repeats=options.merges)
            found[name][f"threads_{threads}"] = measured
            if not options.json:
                print(f"{name}: {measured}")
    torch.set_num_threads(2)
    print(
        json.dumps(
            {
                "benchmark": "evaluation",
                "picture": SIZE,
                "logits": [K, *CELLS],
                **found,
                "views_of": frame.picture,
                "whole_model": {options.model: whole_model(options.model, frame)},
                "repeats": [options.repeats, options.merges],
                "cpus": os.cpu_count(),
                "torch": torch.__version__,
            }
        )
    )


if __name__ == "__main__":
    main()
