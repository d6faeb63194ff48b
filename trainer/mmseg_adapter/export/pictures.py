"""Real pictures at the size at which a model sees them, what it says they show, and how labels are compared.

Letters: H W picture size. Pictures are (H, W, 3) uint8, blue first; labels (H, W) int64.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from mmseg.structures import SegDataSample
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from trainer.mmseg_adapter.scoring.predictor import TestWay
from trainer.mmseg_adapter.scoring.views import view_at
from trainer.spec.evaluation import MODES, SINGLE_SCALE

Picture = NDArray[np.uint8]
Labels = NDArray[np.int64]
Size = tuple[int, int]

MOST_DIFFERING = 1e-4  # of the pixels: libraries add in other orders, and two classes may be within rounding


def at_test_size(picture: Picture, way: TestWay) -> Picture:
    """The picture as evaluation hands it to the model."""
    single = MODES[SINGLE_SCALE]
    sized = view_at(picture, single.scales[0], single.base, way)
    return picture if sized.shape == picture.shape else sized


def as_input(picture: Picture) -> Tensor:
    """(1, 3, H, W) uint8, red first: what a label program takes."""
    return torch.from_numpy(np.ascontiguousarray(picture[:, :, ::-1].transpose(2, 0, 1)))[None]


def margin(picture: Picture) -> Picture:
    """A picture 32 pixels higher and 64 wider, so that no side has the other's length."""
    height, width = picture.shape[:2]
    more = 64 + 32 * (height + 32 == width + 64)
    return np.pad(picture, ((0, 32), (0, more), (0, 0)), mode="edge")


def share_differing(found: Sequence[Labels], wanted: Sequence[Labels]) -> float:
    """The share of all pixels with another label; 1 where sizes are not the same."""
    if [each.shape for each in found] != [each.shape for each in wanted]:
        return 1.0
    differing = sum(int((one != other).sum()) for one, other in zip(found, wanted, strict=True))
    return differing / sum(each.size for each in wanted)


@dataclass(frozen=True)
class Compared:
    """Pictures with their labels; what is compared in one format."""

    pictures: tuple[Picture, ...]
    labels: tuple[Labels, ...]


@dataclass(frozen=True)
class RealPictures:
    """Pictures at their own sizes, and the labels that mmseg's own prediction gives them.

    Attributes:
        model: an mmseg segmentor in eval mode.
        own: as they were read, at least one.
    """

    model: Any
    own: tuple[Picture, ...]
    way: TestWay

    @cached_property
    def sized(self) -> tuple[Picture, ...]:
        """At the size at which they are scored."""
        return tuple(at_test_size(picture, self.way) for picture in self.own)

    @property
    def sizes(self) -> tuple[Size, ...]:
        """Of `sized`, the most frequent first."""
        counted = Counter((picture.shape[0], picture.shape[1]) for picture in self.sized)
        return tuple(size for size, _ in counted.most_common())

    @cached_property
    def at_own_size(self) -> Compared:
        """Labels as they are scored: of the resized picture, their logits resized to the picture's size."""
        labels = (
            predicted(self.model, sized, own.shape[:2])
            for sized, own in zip(self.sized, self.own, strict=True)
        )
        return Compared(self.own, tuple(labels))

    @cached_property
    def at_test_size(self) -> Compared:
        """Labels of the resized pictures, at that size."""
        if all(sized is own for sized, own in zip(self.sized, self.own, strict=True)):
            return self.at_own_size
        return Compared(self.sized, tuple(predicted(self.model, each, each.shape[:2]) for each in self.sized))

    def of_size(self, size: Size | None) -> Compared:
        """Of `at_test_size` those of this size; None: all."""
        every = self.at_test_size
        kept = [k for k, picture in enumerate(every.pictures) if size in (None, picture.shape[:2])]
        return Compared(tuple(every.pictures[k] for k in kept), tuple(every.labels[k] for k in kept))

    def repeated(self, size: Size | None) -> Compared:
        """The pictures of `of_size` as they were read; labels brought to their size by repeating them."""
        kept = [k for k, picture in enumerate(self.sized) if size in (None, picture.shape[:2])]
        labels = [_repeated(self.at_test_size.labels[k], self.own[k].shape[:2]) for k in kept]
        return Compared(tuple(self.own[k] for k in kept), tuple(labels))


@torch.no_grad()
def predicted(model: nn.Module, picture: Picture, size: tuple[int, ...]) -> Labels:
    """By the `test_step` of mmseg on one picture: its labels at `size` = (H, W)."""
    shape = picture.shape[:2]
    sample = SegDataSample(metainfo={"ori_shape": tuple(size), "img_shape": shape, "pad_shape": shape})
    pixels = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))
    step: Any = model
    (done,) = step.test_step({"inputs": [pixels], "data_samples": [sample]})
    labels: Labels = done.pred_sem_seg.data[0].cpu().numpy().astype(np.int64)
    return labels


def _repeated(labels: Labels, size: tuple[int, ...]) -> Labels:
    """The labels at another size: of each pixel those of the nearest."""
    if labels.shape == size:
        return labels
    table = torch.from_numpy(labels)[None, None].to(torch.float32)
    nearest: Labels = functional.interpolate(table, size, mode="nearest-exact")[0, 0].to(torch.int64).numpy()
    return nearest
