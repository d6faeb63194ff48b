"""One picture in several views, from stored head logits to labels: ours beside mmsegmentation's own merge.

Letters: K classes, H W the picture's size, h w a view's logits.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.structures import PixelData
from mmseg.models.segmentors import SegTTAModel
from mmseg.models.utils import resize
from mmseg.structures import SegDataSample
from torch import Tensor, nn
from torch.nn import functional

from trainer.mmseg_adapter.scoring.merging import labels_of_views
from trainer.mmseg_adapter.scoring.patches import Patch, View, axis_weights, table_of
from trainer.spec.augmentation import fitted
from trainer.spec.evaluation import MODES

MODE = MODES["multi_scale"]
Size = tuple[int, int]


@dataclass(frozen=True)
class Stored:
    """A head's logits of one view, taken whole."""

    logits: Tensor  # (1, K, h, w) float32
    length: Size  # the view's
    mirrored: bool


def make_views(coarse: Tensor, size: Size, test_size: Size, noise: float, *, blobs: bool) -> list[Stored]:
    """The paper's twelve views of a picture of `size`, logits at a quarter of each view's sides.

    Args:
        coarse: (1, K, …) what the logits are made of, bicubically, where `blobs`; else they are noise alone.
        test_size: what the scales multiply.
        noise: its standard deviation.
    """
    generator = torch.Generator().manual_seed(1)
    views = []
    for scale in MODE.scales:
        length = fitted(size, (int(test_size[0] * scale), int(test_size[1] * scale)))
        cells = -(-length[0] // 4), -(-length[1] // 4)
        smooth = functional.interpolate(coarse, size=cells, mode="bicubic", align_corners=False) * blobs
        for mirrored in (False, True):
            drawn = noise * torch.randn(smooth.shape, generator=generator)
            views.append(Stored((smooth.flip(3) if mirrored else smooth) + drawn, length, mirrored))
    return views


def our_merge(views: Sequence[Stored], size: Size) -> Tensor:
    """(H, W) int64."""
    return labels_of_views([_view(one, size) for one in views], size)


def _view(stored: Stored, size: Size) -> View:
    table = table_of(stored.logits)
    [rows], [columns] = (
        axis_weights(pixels, length, [((0, length), cells)], align_corners=False, mirrored=mirrored)
        for pixels, length, cells, mirrored in (
            (size[0], stored.length[0], table.shape[0], False),
            (size[1], stored.length[1], table.shape[2], stored.mirrored),
        )
    )
    return [Patch(table, rows, columns)]


class _Module(nn.Module):
    """What `SegTTAModel` asks of the model that it is around."""

    out_channels = 2  # more than one

    def test_step(self, data: Any) -> None:
        raise NotImplementedError


def mmsegs_merge(views: Sequence[Stored], size: Size) -> Tensor:
    """(H, W) int64, by `SegTTAModel.merge_preds`, of samples as `postprocess_result` makes them: all at once.

    Without the argmax of each view that `postprocess_result` takes as well, and nobody asks for.
    """
    samples = []
    for one in views:
        logits = resize(one.logits, size=one.length, mode="bilinear", align_corners=False)
        if one.mirrored:
            logits = logits.flip(dims=(3,))
        logits = resize(logits, size=size, mode="bilinear", align_corners=False, warning=False).squeeze(0)
        sample = SegDataSample(metainfo={"img_path": ""})
        sample.set_data({"seg_logits": PixelData(data=logits)})
        samples.append(sample)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The shape of value will convert")
        [merged] = SegTTAModel(module=_Module()).merge_preds([samples])
    labels: Tensor = merged.pred_sem_seg.data.squeeze(0)
    return labels
