"""Evaluation without picture-sized logits: mmseg's labels, from the head's small logits.

Letters: N images, K classes, H W label size, h w the size of the head's logits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.runner import ValLoop, autocast
from mmengine.structures import PixelData
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import LOOPS
from torch import Tensor

from trainer.mmseg_adapter.scoring.labels import labels_of
from trainer.mmseg_adapter.step.average import scored

Sample = Any  # mmseg.structures.SegDataSample


@LOOPS.register_module()
class LabelLoop(ValLoop):  # type: ignore[misc]
    """mmengine's validation loop with `predict_labels` in the place of the model's own prediction."""

    @torch.no_grad()
    def run_iter(self, idx: int, data_batch: Any) -> None:
        self.runner.call_hook("before_val_iter", batch_idx=idx, data_batch=data_batch)
        with autocast(enabled=self.fp16):
            outputs = predict_labels(scored(self.runner), data_batch)
        self.evaluator.process(data_samples=outputs, data_batch=data_batch)
        self.runner.call_hook("after_val_iter", batch_idx=idx, data_batch=data_batch, outputs=outputs)


def predict_labels(model: Any, data_batch: Any) -> Sequence[Sample]:
    """The batch's samples with `pred_sem_seg` (1, H, W) int64: what `model.val_step` gives, ties aside.

    The model stays as it is. Where its labels are not the argmax of one head's resized logits (sliding
    windows, a single logit), or a picture is padded or flipped, mmseg's own way is taken.

    Args:
        model: an mmseg segmentor without a DDP wrapper, in eval mode.
        data_batch: as the loader gives it.
    """
    head = _classifying_head(model)
    if head is None:
        plain: Sequence[Sample] = model.val_step(data_batch)
        return plain
    data = model.data_preprocessor(data_batch, False)
    samples: Sequence[Sample] = data["data_samples"]
    metas = [sample.metainfo for sample in samples]
    with _unresized(head):
        logits: Tensor = model.inference(data["inputs"], metas)
    if any(_is_moved(meta) for meta in metas):
        model.postprocess_result(head.predict_by_feat(logits, metas), samples)
        return samples
    for sample, labels in zip(samples, _labels(logits, metas, head), strict=True):
        sample.pred_sem_seg = PixelData(data=labels[None])
    return samples


def _classifying_head(model: Any) -> Any:
    """The head whose logits, resized, are the model's prediction; None where there is more to it."""
    if not isinstance(model, EncoderDecoder) or model.test_cfg.get("mode", "whole") != "whole":
        return None
    head: Any = model.decode_head
    head = head[-1] if isinstance(head, torch.nn.ModuleList) else head
    if not isinstance(head, BaseDecodeHead) or model.out_channels == 1:
        return None
    return head if type(head).predict_by_feat is BaseDecodeHead.predict_by_feat else None


@contextmanager
def _unresized(head: Any) -> Iterator[None]:
    """Inside, `head.predict` gives its (N, K, h, w) logits as they are."""
    head.predict_by_feat = lambda logits, _: logits
    try:
        yield
    finally:
        del head.predict_by_feat  # its class's is seen again


def _is_moved(meta: dict[str, Any]) -> bool:
    """Whether mmseg cuts padding off the prediction, or flips it back."""
    padding = meta.get("img_padding_size", meta.get("padding_size", ()))
    return any(padding) or bool(meta.get("flip"))


def _labels(logits: Tensor, metas: Sequence[dict[str, Any]], head: Any) -> Sequence[Tensor]:
    """(H, W) int64 for each picture, H W its original size.

    mmseg resizes twice: to the input's size, then to the original one. Where these are the same the second
    changes nothing and the first need not be built; where they differ only the second is spared.
    """
    size = _input_size(metas[0])
    wanted = [(int(meta["ori_shape"][0]), int(meta["ori_shape"][1])) for meta in metas]
    if all(each == size for each in wanted):
        return labels_of(logits, size, align_corners=head.align_corners).unbind()
    resized: Tensor = head.predict_by_feat(logits, metas)
    return [
        labels_of(one[None], each, align_corners=head.align_corners)[0]
        for one, each in zip(resized, wanted, strict=True)
    ]


def _input_size(meta: dict[str, Any]) -> tuple[int, int]:
    """(height, width) of the batch, as `BaseDecodeHead.predict_by_feat` finds it in its first picture."""
    shape = meta["img_shape"]
    if not isinstance(shape, torch.Size):
        shape = meta.get("pad_shape", shape)
    return int(shape[0]), int(shape[1])
