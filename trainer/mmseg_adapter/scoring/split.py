"""A split scored in several modes, by all ranks together.

Letters: H W label size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch import Tensor, nn

from trainer.data.prepare import SplitFiles
from trainer.mmseg_adapter import data  # noqa: F401 - loaders name its classes
from trainer.mmseg_adapter.config import views_loader
from trainer.mmseg_adapter.model.config import revive
from trainer.mmseg_adapter.scoring import inputs  # noqa: F401 - pipelines name its class
from trainer.mmseg_adapter.scoring.loop import labels_in
from trainer.mmseg_adapter.scoring.metric import ConfusionMetric
from trainer.mmseg_adapter.scoring.predictor import Predictor
from trainer.mmseg_adapter.torch_compat import end_workers, kept_iterator
from trainer.mmseg_adapter.way import TestWay
from trainer.results.split_counts import SplitCounts
from trainer.spec.data.datasets import IGNORE_INDEX
from trainer.spec.evaluation import Mode

__all__ = ["SplitFiles", "score_split"]
OnPicture = Callable[[str, dict[str, Tensor], Tensor], None]


@torch.no_grad()
def score_split(
    model: nn.Module,
    files: SplitFiles,
    modes: Mapping[str, Mode],
    way: TestWay,
    *,
    loader_workers: int = 0,
    on_picture: OnPicture | None = None,
) -> dict[str, SplitCounts]:
    """The counts of each mode, in the order of `modes`: over all ranks, the same on each; every picture once.

    Every rank calls it with the same arguments, and takes every n-th picture; of fewer pictures than ranks
    some take none.

    Args:
        model: without a DDP wrapper, on any device; it is left in eval mode.
        modes: by the names under which they are counted.
        loader_workers: processes that read and resize pictures; 0: this one.
        on_picture: called on the rank that has the picture, with its path below images/SPLIT, its (H, W)
            int64 labels by mode, on the model's device, and its (H, W) int64 target, on the CPU.

    Raises:
        DataError: a mask holds what it may not.
    """
    model.eval()
    predictors = {name: Predictor(model, mode, way) for name, mode in modes.items()}
    metrics = {name: ConfusionMetric(len(files.classes), IGNORE_INDEX) for name in modes}
    loader = _loader(files, modes, way, loader_workers, pinned=_device(model).type == "cuda")
    folder = Path(files.root, "images", files.split)
    try:
        for batch in loader:
            labels = {name: labels_in(predictor, batch) for name, predictor in predictors.items()}
            [sample] = batch["data_samples"]
            target: Tensor = sample.gt_sem_seg.data
            for name, metric in metrics.items():
                counted = {"pred_sem_seg": {"data": labels[name][None]}, "gt_sem_seg": {"data": target}}
                metric.process({}, [{"img_path": sample.img_path, **counted}])
            if on_picture is not None:
                on_picture(Path(sample.img_path).relative_to(folder).as_posix(), labels, target[0])
    finally:
        end_workers(kept_iterator(loader))
    return {name: metric.evaluate(len(loader.dataset))["counts"] for name, metric in metrics.items()}


def _loader(
    files: SplitFiles, modes: Mapping[str, Mode], way: TestWay, loader_workers: int, *, pinned: bool
) -> Any:
    config = views_loader(files, tuple(modes.values()), way, loader_workers=loader_workers, pinned=pinned)
    with DefaultScope.overwrite_default_scope("mmseg"):
        return Runner.build_dataloader(Config(revive(config)))


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device
