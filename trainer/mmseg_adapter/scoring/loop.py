"""Evaluation without picture-sized logits: mmseg's labels, from the head's small logits.

Letters: N images, K classes, H W label size, h w the size of the head's logits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.runner import ValLoop, autocast
from mmengine.structures import PixelData
from mmseg.registry import LOOPS
from torch import Tensor

from trainer.mmseg_adapter.scoring.heads import Held, classifying_head, head_logits, inference_of, view_of
from trainer.mmseg_adapter.scoring.inputs import PackViews  # noqa: F401 - pipelines name it
from trainer.mmseg_adapter.scoring.labels import labels_at
from trainer.mmseg_adapter.scoring.merging import labels_of_views
from trainer.mmseg_adapter.scoring.predictor import Predictor
from trainer.mmseg_adapter.step.average import scored
from trainer.mmseg_adapter.way import read_mode, read_way
from trainer.spec.evaluation import WHOLE

Sample = Any  # mmseg.structures.SegDataSample
Size = tuple[int, int]


class _Loop(ValLoop):  # type: ignore[misc]
    """mmengine's validation loop with labels of our own in the place of the model's prediction."""

    @torch.no_grad()
    def run_iter(self, idx: int, data_batch: Any) -> None:
        self.runner.call_hook("before_val_iter", batch_idx=idx, data_batch=data_batch)
        with autocast(enabled=self.fp16):
            outputs = self.predict(scored(self.runner), data_batch)
        self.evaluator.process(data_samples=outputs, data_batch=data_batch)
        self.runner.call_hook("after_val_iter", batch_idx=idx, data_batch=data_batch, outputs=outputs)

    def predict(self, model: Any, data_batch: Any) -> Sequence[Sample]:
        """The batch's samples with `pred_sem_seg` (1, H, W) int64."""
        raise NotImplementedError


@LOOPS.register_module()
class LabelLoop(_Loop):
    """Each picture once, at the size at which it is scored: see `predict_labels`."""

    def predict(self, model: Any, data_batch: Any) -> Sequence[Sample]:
        return predict_labels(model, data_batch)


@LOOPS.register_module()
class ModeLoop(_Loop):
    """Each picture in the views of a mode, of which the loader has made them: see `PackViews`."""

    def __init__(self, *args: Any, mode: Mapping[str, Any], way: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._mode, self._way = read_mode(mode), read_way(way)

    def predict(self, model: Any, data_batch: Any) -> Sequence[Sample]:
        [sample] = data_batch["data_samples"]
        labels = labels_in(Predictor(model, self._mode, self._way), data_batch)
        sample.pred_sem_seg = PixelData(data=labels[None])
        return [sample]


def labels_in(predictor: Predictor, data_batch: Any) -> Tensor:
    """(H, W) int64 of the one picture in a batch that `PackViews` has packed."""
    [sample] = data_batch["data_samples"]
    views = {key: view for key, [view] in data_batch["inputs"].items()}
    return predictor.labels_of(views, tuple(sample.metainfo["ori_shape"][:2]))


def predict_labels(model: Any, data_batch: Any) -> Sequence[Sample]:
    """The batch's samples with `pred_sem_seg` (1, H, W) int64: what `model.val_step` gives, ties aside.

    The model stays as it is. Where its labels are not the argmax of one head's resized logits (a single
    logit), or a picture is padded or flipped, mmseg's own way is taken.

    Args:
        model: an mmseg segmentor without a DDP wrapper, in eval mode.
        data_batch: as the loader gives it.
    """
    head = classifying_head(model)
    data = model.data_preprocessor(data_batch, False)
    inputs, samples = data["inputs"], data["data_samples"]
    metas = [sample.metainfo for sample in samples]
    if head is None or any(_is_moved(meta) for meta in metas):
        plain: Sequence[Sample] = model(**data, mode="predict")
        return plain
    sizes = [(int(meta["ori_shape"][0]), int(meta["ori_shape"][1])) for meta in metas]
    if inference_of(model) == WHOLE:
        found = _of_whole(model, head, inputs, _input_size(metas[0]), sizes)
    else:
        found = _of_windows(model, head, inputs, sizes)
    for sample, labels in zip(samples, found, strict=True):
        sample.pred_sem_seg = PixelData(data=labels[None])
    return samples  # type: ignore[no-any-return]


def _of_whole(model: Any, head: Any, inputs: Tensor, view: Size, sizes: Sequence[Size]) -> Sequence[Tensor]:
    """(H, W) int64 for each picture, H W its original size."""
    logits, corners = head_logits(model, head, inputs), head.align_corners
    if len(set(sizes)) == 1:
        return labels_at(logits, view, sizes[0], align_corners=corners).unbind()
    return [
        labels_at(one[None], view, size, align_corners=corners)[0]
        for one, size in zip(logits, sizes, strict=True)
    ]


def _of_windows(model: Any, head: Any, inputs: Tensor, sizes: Sequence[Size]) -> Sequence[Tensor]:
    """(H, W) int64 for each picture, H W its original size; one picture after the other."""
    inference, held = inference_of(model), Held(inputs.device)
    return [
        labels_of_views(
            [view_of(model, head, one[None], size, inference, held=held)], size, device=inputs.device
        )
        for one, size in zip(inputs, sizes, strict=True)
    ]


def _is_moved(meta: dict[str, Any]) -> bool:
    """Whether mmseg cuts padding off the prediction, or flips it back."""
    padding = meta.get("img_padding_size", meta.get("padding_size", ()))
    return any(padding) or bool(meta.get("flip"))


def _input_size(meta: dict[str, Any]) -> Size:
    """(height, width) of the batch, as `BaseDecodeHead.predict_by_feat` finds it in its first picture."""
    shape = meta["img_shape"]
    if not isinstance(shape, torch.Size):
        shape = meta.get("pad_shape", shape)
    return int(shape[0]), int(shape[1])
