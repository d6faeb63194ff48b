"""Exact confusion counts of a split.

Letters: K classes, H W label size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.evaluator import BaseMetric
from mmseg.registry import METRICS

from trainer.losses.pixels import check_labels, valid_pixels

Record = dict[str, Any]


@METRICS.register_module()
class ConfusionMetric(BaseMetric):  # type: ignore[misc]
    """(K, K) int64 confusion counts of a whole split, summed over ranks once, each picture in them once."""

    def __init__(self, num_classes: int, ignore_index: int) -> None:
        super().__init__(collect_device="cpu")
        self._num_classes = num_classes
        self._ignore_index = ignore_index
        self._reset()

    def _reset(self) -> None:
        self._matrix = torch.zeros(self._num_classes**2, dtype=torch.int64)
        self._images = 0

    def process(self, data_batch: Any, data_samples: Sequence[Record]) -> None:
        del data_batch
        for sample in data_samples:
            self._matrix += self._counts(sample["pred_sem_seg"]["data"], sample["gt_sem_seg"]["data"]).cpu()
            self._images += 1

    def _counts(self, predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """(K*K,) int64 counts of one picture's (1, H, W) labels.

        Raises:
            ValueError: a label of the mask is out of range.
        """
        target = target.to(predicted)
        check_labels(target, num_classes=self._num_classes, ignore_index=self._ignore_index)
        # Ignored pixels get a cell of their own: picking out the others takes several times as long.
        cells = (target * self._num_classes).add_(predicted)
        cells.masked_fill_(~valid_pixels(target, self._ignore_index), self._num_classes**2)
        return torch.bincount(cells.flatten(), minlength=self._num_classes**2 + 1)[:-1]

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        raise NotImplementedError("evaluate() is the whole of it")

    def evaluate(self, size: int) -> dict[str, Any]:
        """{"confusion": (K, K) int64 array, "images": number of pictures counted}, over all ranks."""
        del size
        device = "cuda" if torch.cuda.is_available() and get_world_size() > 1 else "cpu"
        counts = torch.cat([self._matrix, torch.tensor([self._images])]).to(device)
        all_reduce(counts)
        counts = counts.cpu()
        self._reset()
        matrix = counts[:-1].reshape(self._num_classes, self._num_classes)
        return {"confusion": matrix.numpy(), "images": int(counts[-1])}
