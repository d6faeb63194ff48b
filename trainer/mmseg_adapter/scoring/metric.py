"""Exact confusion counts of a split, as mmengine's evaluator asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.evaluator import BaseMetric
from mmseg.registry import METRICS

from trainer.mmseg_adapter.scoring.counter import SplitCounter

Record = dict[str, Any]


@METRICS.register_module()
class ConfusionMetric(BaseMetric):  # type: ignore[misc]
    """Counts of a whole split, gathered over ranks once, each picture in them once."""

    def __init__(self, num_classes: int, ignore_index: int) -> None:
        super().__init__(collect_device="cpu")
        self._counter = SplitCounter(num_classes, ignore_index)

    def process(self, data_batch: Any, data_samples: Sequence[Record]) -> None:
        del data_batch
        for sample in data_samples:
            predicted, target = sample["pred_sem_seg"]["data"], sample["gt_sem_seg"]["data"]
            self._counter.add(sample["img_path"], predicted, target)

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        raise NotImplementedError("evaluate() is the whole of it")

    def evaluate(self, size: int) -> dict[str, Any]:
        """{"counts": SplitCounts} over all ranks."""
        del size
        return {"counts": self._counter.gathered()}
