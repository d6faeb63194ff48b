"""A trained model and a mode: the labels of a picture.

Letters: H W the picture's size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from trainer.mmseg_adapter.scoring.full_size import full_size_labels
from trainer.mmseg_adapter.scoring.heads import Held, classifying_head, head_logits, view_of
from trainer.mmseg_adapter.scoring.labels import labels_at
from trainer.mmseg_adapter.scoring.merging import labels_of_views
from trainer.mmseg_adapter.scoring.views import Picture, ViewKey, views_of
from trainer.mmseg_adapter.way import TestWay, inference_in, way_of
from trainer.spec.evaluation import WHOLE, Mode

__all__ = ["Predictor", "TestWay", "way_of"]


class Predictor:
    """Labels pictures with a model in one mode.

    Memory beyond the model's own: the head's small logits of all views, and a tile (see `labels_of_views`);
    on a GPU at most a quarter of it, the rest of the logits waits in main memory. Models whose prediction is
    more than one head's resized logits take two picture-sized maps of all classes instead.
    """

    def __init__(self, model: nn.Module, mode: Mode, way: TestWay) -> None:
        """`model`: a segmentor of mmseg in eval mode, on any device, without a DDP wrapper."""
        self._model: Any = model
        self._mode = mode
        self._way = way
        self._inference = inference_in(mode, way)
        self._head = classifying_head(model)

    def labels(self, picture: Picture) -> Tensor:
        """(H, W) int64, on the model's device, of an (H, W, 3) uint8 picture, blue first."""
        return self.labels_of(views_of(picture, (self._mode,), self._way), picture.shape[:2])

    @torch.no_grad()
    def labels_of(self, views: Mapping[ViewKey, Tensor], size: tuple[int, int]) -> Tensor:
        """(H, W) int64 of a picture of `size` = (H, W), of which a loader has made the `views_of` it."""
        head, inputs = self._head, self._inputs(views)
        if head is None:
            return full_size_labels(self._model, inputs, size, self._inference)
        if self._inference == WHOLE and len(self._mode.scales) == 1 and not self._mode.flip:
            [(one, _)] = inputs
            logits, view = head_logits(self._model, head, one), (one.shape[2], one.shape[3])
            return labels_at(logits, view, size, align_corners=head.align_corners)[0]
        device = next(self._model.parameters()).device
        held = Held(device)
        merged = [
            view_of(self._model, head, one, size, self._inference, mirrored=mirrored, held=held)
            for one, mirrored in inputs
        ]
        return labels_of_views(merged, size, device=device)

    def _inputs(self, views: Mapping[ViewKey, Tensor]) -> Iterator[tuple[Tensor, bool]]:
        """Normalised (1, 3, y, x) inputs on the model's device, and which are mirrored; one at a time."""
        for scale in self._mode.scales:
            for mirrored in (False, True) if self._mode.flip else (False,):
                view = views[self._mode.base, scale]
                pixels = view.flip(2) if mirrored else view
                yield self._model.data_preprocessor({"inputs": [pixels]}, False)["inputs"], mirrored
