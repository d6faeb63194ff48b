"""A head's small logits out of a segmentor of mmseg, without the picture-sized ones that it makes of them.

Letters: N pictures, K classes, H W a picture's size, h w the logits' size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor

from trainer.mmseg_adapter.scoring.patches import Patch, View, axis_weights, spans, table_of
from trainer.spec.evaluation import WHOLE, Inference, Slide

_SHARE_OF_GPU = 4  # tables have a quarter of its memory: models need the rest


def classifying_head(model: Any) -> Any:
    """The head whose logits, resized, are the model's prediction; None where there is more to it."""
    if not isinstance(model, EncoderDecoder):
        return None
    head: Any = model.decode_head
    head = head[-1] if isinstance(head, torch.nn.ModuleList) else head
    if not isinstance(head, BaseDecodeHead) or model.out_channels == 1:
        return None
    return head if type(head).predict_by_feat is BaseDecodeHead.predict_by_feat else None


def inference_of(model: Any) -> Inference:
    """Over whole pictures or windows, as the model's own settings say."""
    settings = model.test_cfg
    if settings.get("mode", WHOLE) == WHOLE:
        return WHOLE
    return Slide(window=tuple(settings["crop_size"]), stride=tuple(settings["stride"]))


def head_logits(model: Any, head: Any, inputs: Tensor) -> Tensor:
    """(N, K, h, w) of normalised (N, 3, y, x) inputs, taken whole."""
    metas = [{"img_shape": inputs.shape[2:], "ori_shape": inputs.shape[2:]}] * len(inputs)
    with _unresized(head):
        logits: Tensor = model.encode_decode(inputs, metas)
    return logits


@contextmanager
def _unresized(head: Any) -> Iterator[None]:
    """Inside, `head.predict` gives its (N, K, h, w) logits as they are."""
    head.predict_by_feat = lambda logits, _: logits
    try:
        yield
    finally:
        del head.predict_by_feat  # its class's is seen again


class Held:
    """Where tables are kept until all views of a picture are there: on their GPU up to a quarter of its
    memory, then in main memory, from where a tile's cells are copied.
    """

    def __init__(self, device: torch.device, limit: int | None = None) -> None:
        """`limit`: bytes; None: a quarter of the GPU's."""
        self._left = limit
        if limit is None and device.type == "cuda":
            self._left = torch.cuda.get_device_properties(device).total_memory // _SHARE_OF_GPU

    def __call__(self, table: Tensor) -> Tensor:
        """The table, where it is kept."""
        if self._left is None:
            return table
        self._left -= table.nbytes
        return table if self._left >= 0 else table.cpu()


def view_of(
    model: Any,
    head: Any,
    inputs: Tensor,
    size: tuple[int, int],
    inference: Inference,
    *,
    mirrored: bool = False,
    held: Callable[[Tensor], Tensor] = lambda table: table,
) -> View:
    """The patches of one view: one, or one for each window.

    Args:
        inputs: (1, 3, y, x), normalised; mirrored where `mirrored`.
        size: (H, W) of the picture.
        held: puts tables where they are kept.
    """
    lengths = inputs.shape[2], inputs.shape[3]
    if isinstance(inference, Slide):
        down, across = map(spans, lengths, inference.window, inference.stride)
    else:
        down, across = ([(0, length)] for length in lengths)
    tables = [
        [
            held(table_of(head_logits(model, head, inputs[:, :, top:bottom, left:right])))
            for left, right in across
        ]
        for top, bottom in down
    ]
    corners: bool = head.align_corners
    heights = [(span, row[0].shape[0]) for span, row in zip(down, tables, strict=True)]
    widths = [(span, table.shape[2]) for span, table in zip(across, tables[0], strict=True)]
    rows = axis_weights(size[0], lengths[0], heights, align_corners=corners)
    columns = axis_weights(size[1], lengths[1], widths, align_corners=corners, mirrored=mirrored)
    return [
        Patch(table, rows[y], columns[x]) for y, across in enumerate(tables) for x, table in enumerate(across)
    ]
