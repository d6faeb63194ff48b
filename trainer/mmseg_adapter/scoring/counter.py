"""Counts of a split, gathered over ranks.

Letters: N pictures, K classes, H W label size.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath
from typing import NamedTuple

import numpy as np
import torch
from mmengine.dist import all_gather_object
from torch import Tensor

from trainer.losses.pixels import check_labels, valid_pixels
from trainer.results.metrics import ClassCounts, Counts
from trainer.results.split_counts import SplitCounts


class _Picture(NamedTuple):
    path: str
    counts: Counts  # (3, K) int64: tp, fp, fn


class SplitCounter:
    """Confusion counts of a split's pictures: over all of them, and tp, fp and fn in each."""

    def __init__(self, num_classes: int, ignore_index: int) -> None:
        self._num_classes = num_classes
        self._ignore_index = ignore_index
        self._reset()

    def _reset(self) -> None:
        self._confusion: Counts = np.zeros((self._num_classes,) * 2, dtype=np.int64)
        self._pictures: list[_Picture] = []

    def add(self, path: str, predicted: Tensor, target: Tensor) -> None:
        """Counts one picture: (H, W) or (1, H, W) integer labels each, on any device.

        Args:
            path: of the picture's file, which no other picture of the split has.

        Raises:
            ValueError: a label of the mask is out of range.
        """
        confusion = self._counts(predicted, target).cpu().numpy()
        counts = ClassCounts.of(confusion)
        self._confusion += confusion
        self._pictures.append(_Picture(path, np.stack([counts.tp, counts.fp, counts.fn])))

    def _counts(self, predicted: Tensor, target: Tensor) -> Tensor:
        """(K, K) int64 counts of one picture, rows = target."""
        number, predicted = self._num_classes, predicted.long()  # a narrow type has no room for K²
        target = target.to(predicted)
        check_labels(target, num_classes=number, ignore_index=self._ignore_index)
        # Ignored pixels get a cell of their own: picking out the others takes several times as long.
        cells = (target * number).add_(predicted)
        cells.masked_fill_(~valid_pixels(target, self._ignore_index), number**2)
        return torch.bincount(cells.flatten(), minlength=number**2 + 1)[:-1].view(number, number)

    def gathered(self) -> SplitCounts:
        """The counts of all ranks, the same on each; this counter starts from nothing again.

        Raises:
            ValueError: a picture was counted twice.
        """
        shares = all_gather_object((self._confusion, self._pictures))
        self._reset()
        pictures = [picture for _, found in shares for picture in found]
        names = names_of([picture.path for picture in pictures])
        order = sorted(range(len(names)), key=names.__getitem__)
        counts = np.zeros((len(names), 3, self._num_classes), dtype=np.int64)
        for place, k in enumerate(order):
            counts[place] = pictures[k].counts
        return SplitCounts(
            confusion=sum((confusion for confusion, _ in shares), start=np.zeros_like(shares[0][0])),
            names=tuple(names[k] for k in order),
            tp=counts[:, 0],
            fp=counts[:, 1],
            fn=counts[:, 2],
        )


def names_of(paths: Sequence[str]) -> list[str]:
    """A short name for each picture, all different: the file's stem, else its path below what all share.

    Raises:
        ValueError: a path is there twice.
    """
    twice = [path for path, times in Counter(paths).items() if times > 1]
    if twice:
        raise ValueError(f"counted more than once: {', '.join(sorted(twice)[:5])}")
    stems = [PurePath(path).stem for path in paths]
    if len(set(stems)) == len(stems):
        return stems
    root = os.path.commonpath([PurePath(path).parent for path in paths])
    return [PurePath(path).relative_to(root).as_posix() for path in paths]
