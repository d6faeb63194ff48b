"""What the region branch costs in a training step: two models of mmsegmentation with and without it.

DeepLabV3+ R50 and UPerNet Swin-T as mmsegmentation's own config files have them, auxiliary head included,
with BN for SyncBN (which does not run on a CPU), random weights, 150 classes, batch 2, 512², blobs of 10
classes in each picture. A step is forward, losses, backward and the optimiser; steps without the branch
(`baseline`) and with it (`region_rebalance`, defaults) take turns in the order ABBA. `time_ratio` is the
median over pairs, `cpu_time_ratio` the same of processor time, which other programs disturb less.

Memory is the peak of all tensors, weights and optimiser state included, from torch's profiler in a step of
its own (`memory_ratio`; `memory_ratio_of_step` leaves out what lives between steps). `branch` is the branch
alone, forward and backward on random features of the model's size: a share that the noise of whole steps
would hide.

Letters: N pictures, K classes, D channels before the classifier, H W label size, h w feature size.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mmseg.models
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from benchmarks._ade20k import BLOBS, CLASSES, blobs, make_criterion
from benchmarks._memory import peak_bytes
from trainer.mmseg_adapter.head import attach
from trainer.spec.methods import AnyMethod, Baseline, RegionRebalance

BATCH, SIZE = 2, 512
_MIB = 2**20
_CONFIGS = Path(mmseg.__file__).parent / ".mim" / "configs" / "_base_" / "models"
METHODS: dict[str, AnyMethod] = {"baseline": Baseline(), "region_rebalance": RegionRebalance()}


@dataclass(frozen=True)
class Subject:
    """A config file of mmsegmentation, and the optimiser that its schedule names."""

    config: str
    optimiser: Callable[[Any], torch.optim.Optimizer]


SUBJECTS: dict[str, Subject] = {
    "deeplabv3plus_r50": Subject(
        "deeplabv3plus_r50-d8.py", lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, weight_decay=5e-4)
    ),
    "upernet_swin_t": Subject("upernet_swin.py", lambda p: torch.optim.AdamW(p, lr=6e-5, weight_decay=0.01)),
}


class Training:
    """A model under one method, with its optimiser."""

    def __init__(self, subject: Subject, method: AnyMethod) -> None:
        torch.manual_seed(0)
        self.model: Any = MODELS.build(model_config(subject.config))
        self.features: tuple[int, ...] = ()
        attach(self.model, lambda channels, align: make_criterion(method, channels, align))
        self.head.rebalance_criterion.register_forward_pre_hook(self._see)
        self.optimiser = subject.optimiser(self.model.parameters())
        self.model.train()

    @property
    def head(self) -> Any:
        return self.model.decode_head

    def _see(self, _: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        self.features = tuple(arguments[1].shape)

    def step(self, pictures: Tensor, samples: list[SegDataSample]) -> None:
        """Leaves nothing behind but weights and the optimiser's state."""
        total, _ = self.model.parse_losses(self.model.loss(pictures, samples))
        total.backward()
        self.optimiser.step()
        self.optimiser.zero_grad()

    def resident_bytes(self) -> int:
        """Weights, buffers and the optimiser's state."""
        state = [value for one in self.optimiser.state.values() for value in one.values()]
        held = [*self.model.parameters(), *self.model.buffers(), *state]
        return sum(value.nbytes for value in held if isinstance(value, Tensor))


def model_config(name: str) -> Config:
    """The model of a config file, for K classes, without pretrained weights, BN in the place of SyncBN."""
    model = Config.fromfile(_CONFIGS / name).model
    model.pretrained = None
    del model["data_preprocessor"]
    for head in (model.decode_head, model.auxiliary_head):
        head.num_classes = CLASSES
    for part in (model.backbone, model.decode_head, model.auxiliary_head):
        if part.norm_cfg.type == "SyncBN":
            part.norm_cfg = {"type": "BN", "requires_grad": True}
    return Config(model)


def make_batch() -> tuple[Tensor, list[SegDataSample]]:
    """(N, 3, H, W) noise, and labels in blobs."""
    generator = torch.Generator().manual_seed(0)
    samples = [
        SegDataSample(
            gt_sem_seg=PixelData(data=blobs(SIZE, generator)[None]), metainfo={"img_shape": (SIZE, SIZE)}
        )
        for _ in range(BATCH)
    ]
    return torch.randn(BATCH, 3, SIZE, SIZE, generator=generator), samples


def seconds(call: Callable[[], object]) -> tuple[float, float]:
    """Of the wall clock, and of all our threads on the processors."""
    started, used = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - started, time.process_time() - used


def branch_alone(training: Training, samples: list[SegDataSample], repeats: int) -> float:
    """Median seconds of the branch, forward and backward, on random features; one more goes before."""
    branch = training.head.rebalance_criterion.region_branch
    target = torch.cat([sample.gt_sem_seg.data for sample in samples])
    features = torch.randn(training.features, requires_grad=True)

    def once() -> None:
        branch(features, target)[0].total.backward()
        features.grad = None

    return statistics.median([seconds(once)[0] for _ in range(repeats + 1)][1:])


def measure(subject: Subject, pairs: int) -> dict[str, Any]:
    """One model with and without the branch: seconds, peaks, their ratios."""
    pictures, samples = make_batch()
    trainings = {name: Training(subject, method) for name, method in METHODS.items()}
    for training in trainings.values():
        training.step(pictures, samples)  # warms up, and makes the optimiser's state
    order = list(trainings)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in order}
    for _ in range(pairs):
        for name in order:
            times[name].append(seconds(lambda: trainings[name].step(pictures, samples)))  # noqa: B023
        order.reverse()
    step = {name: peak_bytes(lambda: one.step(pictures, samples)) for name, one in trainings.items()}  # noqa: B023
    peak = {name: step[name] + one.resident_bytes() for name, one in trainings.items()}
    ours = trainings["region_rebalance"]
    branch = branch_alone(ours, samples, repeats=5)
    medians = {name: statistics.median(wall for wall, _ in values) for name, values in times.items()}
    paired = list(zip(times["baseline"], times["region_rebalance"], strict=True))
    ratios = [theirs[0] / plain[0] for plain, theirs in paired]
    return {
        "time_ratio": round(statistics.median(ratios), 4),
        "time_ratio_min_max": [round(min(ratios), 4), round(max(ratios), 4)],
        "cpu_time_ratio": round(statistics.median(theirs[1] / plain[1] for plain, theirs in paired), 4),
        "memory_ratio": round(peak["region_rebalance"] / peak["baseline"], 4),
        "memory_ratio_of_step": round(step["region_rebalance"] / step["baseline"], 4),
        "seconds": {name: round(value, 2) for name, value in medians.items()},
        "peak_mib": {name: round(value / _MIB) for name, value in peak.items()},
        "branch": {"seconds": round(branch, 3), "share": round(branch / medians["baseline"], 4)},
        "features": list(ours.features),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    parser.add_argument("--pairs", type=int, default=4, help="of steps, counted; one more goes before them")
    options = parser.parse_args()
    with DefaultScope.overwrite_default_scope("mmseg"):
        models = {name: measure(subject, options.pairs) for name, subject in SUBJECTS.items()}
    result: dict[str, Any] = {
        "benchmark": "region_branch",
        **models,
        "setting": {"batch": BATCH, "size": SIZE, "classes": CLASSES, "blobs": BLOBS},
        "pairs": options.pairs,
        "threads": torch.get_num_threads(),
        "cpus": os.cpu_count(),
        "torch": torch.__version__,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
