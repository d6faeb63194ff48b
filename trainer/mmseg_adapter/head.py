"""Puts our criterion on an mmseg decode head, region branch included, and takes it off a checkpoint again.

Letters: N images, K classes, D channels of the features before the classifier, H W label size, h w feature
size.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Mapping
from typing import Any

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from torch import Tensor, nn
from torch.func import functional_call

from trainer.base.errors import RegionRebalanceError
from trainer.criterion import Criterion
from trainer.losses.pixels import valid_pixels, wide
from trainer.losses.reduction import Average, StepUnits, world_size

_NAME = "rebalance_criterion"  # the head's attribute, and so a part of its keys in a state dict
_ACCURACY_STRIDE = 4

# Heads with losses beside the one on their classifier's logits: how the names of those others begin.
_OTHER_LOSSES: dict[str, tuple[str, ...]] = {
    "DAHead": ("pam.", "cam."),
    "DDRHead": ("loss_spatial",),
    "EncHead": ("loss_se",),
    "PIDHead": ("loss_sem_p", "loss_bd", "loss_sem_bd"),
}


class UnsupportedHead(RegionRebalanceError):
    """The decode head has no single per-pixel classifier that our criterion could take over."""


class _Rebalanced(BaseDecodeHead):  # type: ignore[misc]
    """What `attach` puts before a head's own class: the same head, trained with our criterion.

    The features are those on their way into `conv_seg`, before its dropout: that drops whole channels of an
    image, and so of all its region means, at a rate chosen for pixels; the branch has a dropout of its own.
    """

    rebalance_criterion: Criterion
    _seen: list[tuple[Tensor, Tensor]] | None = None

    @property
    def step_units(self) -> StepUnits | None:
        """See `Criterion`."""
        return self.rebalance_criterion.step_units

    @step_units.setter
    def step_units(self, units: StepUnits | None) -> None:
        self.rebalance_criterion.step_units = units

    def cls_seg(self, feat: Tensor) -> Tensor:
        """(N, K, h, w) logits of (N, D, h, w) features: the head's own, less the shift in a prediction.

        The shift goes into the bias, as in `deployable_state`: so both give the same bits.
        """
        shift = self.rebalance_criterion.prediction_shift
        if shift is not None and self._seen is None and not self.training:
            bias = folded(self.conv_seg.bias, shift)
            shifted: Tensor = functional_call(self.conv_seg, {"bias": bias}, (feat,))
            return shifted  # dropout does nothing here
        logits: Tensor = super().cls_seg(feat)
        if self._seen is not None:
            self._seen.append((feat, logits))
        return logits

    def loss(self, *args: Any, **kwargs: Any) -> Any:
        """The head's losses, remembering meanwhile what its classifier got and gave."""
        self._seen = []
        try:
            return super().loss(*args, **kwargs)
        finally:
            self._seen = None

    def loss_by_feat(self, seg_logits: Any, batch_data_samples: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Our losses in the place of the head's own on the same logits; `acc_seg` in percent. In float32.

        Raises:
            UnsupportedHead: the head classified without `cls_seg`.
        """
        features, logits = self._classified(seg_logits)
        with torch.autocast(logits.device.type, enabled=False):
            return self._losses(features, logits, seg_logits, batch_data_samples, **kwargs)

    def _losses(
        self, features: Tensor, logits: Tensor, seg_logits: Any, batch_data_samples: Any, **kwargs: Any
    ) -> dict[str, Tensor]:
        others: dict[str, Tensor] = {}
        if isinstance(seg_logits, (tuple, list)):
            every = super().loss_by_feat(_all_wide(seg_logits), batch_data_samples, **kwargs)
            kept = _OTHER_LOSSES[_known_as(type(self))]
            others = {name: value for name, value in every.items() if name.startswith(kept)}
        target = torch.stack([sample.gt_sem_seg.data for sample in batch_data_samples]).squeeze(1)
        full = resize(wide(logits), size=target.shape[1:], mode="bilinear", align_corners=self.align_corners)
        losses: dict[str, Tensor] = self.rebalance_criterion(full, features, target)
        losses["acc_seg"] = _sampled_accuracy(full, target, self.ignore_index)
        return {**losses, **others}

    def _classified(self, seg_logits: Any) -> tuple[Tensor, Tensor]:
        """(N, D, h, w) features and (N, K, h, w) logits of the call whose logits the head returned."""
        returned = seg_logits if isinstance(seg_logits, (tuple, list)) else [seg_logits]
        for features, logits in self._seen or ():
            if any(logits is item for item in returned):
                return features, logits
        raise UnsupportedHead(f"{_known_as(type(self))} does not return the logits that its cls_seg gives")


class _Auxiliary(BaseDecodeHead):  # type: ignore[misc]
    """What `attach` puts before a head that keeps its own loss: that in float32, as a mean over the step."""

    step_units: StepUnits | None = None  # as in `Criterion`
    loss_average: Average = "valid"

    def loss_by_feat(self, seg_logits: Any, batch_data_samples: Any, **kwargs: Any) -> dict[str, Tensor]:
        """The head's own losses; in a step of several parts or ranks the share of its mean."""
        with torch.autocast(next(self.parameters()).device.type, enabled=False):
            losses: dict[str, Tensor] = super().loss_by_feat(
                _all_wide(seg_logits), batch_data_samples, **kwargs
            )
        if self.step_units is None:
            return losses
        target = torch.stack([sample.gt_sem_seg.data for sample in batch_data_samples])
        valid = valid_pixels(target, self.ignore_index).sum().clamp(min=1)
        here = valid if self.loss_average == "valid" else target.numel()
        share = here * world_size() / self.step_units.of("pixels", self.loss_average).clamp(min=1)
        return {name: value * share if "loss" in name else value for name, value in losses.items()}


def _all_wide(logits: Any) -> Any:
    return type(logits)(map(_all_wide, logits)) if isinstance(logits, (tuple, list)) else wide(logits)


def attach(
    model: nn.Module, criterion_factory: Callable[[int, bool], Criterion], loss_average: Average = "valid"
) -> None:
    """Makes `model` train with our criterion on its (last) decode head; all others keep their own losses.

    The head gets a subclass of its own class and one submodule more; config, parameters, predictions and the
    names in the state dict stay. Draws nothing from any random stream that the factory does not draw.

    Args:
        model: an mmseg segmentor with a `decode_head`, for example EncoderDecoder or CascadeEncoderDecoder.
        criterion_factory: called with D and the head's `align_corners`.
        loss_average: pixels that the other heads' losses are means over, as their configs say.

    Raises:
        UnsupportedHead: the head does not classify pixels through `BaseDecodeHead.cls_seg`, has a criterion
            already, or no bias where the criterion shifts predictions.
    """
    *others, head = _heads(model)
    check_head(head)
    assert head is not None
    criterion = criterion_factory(head.conv_seg.in_channels, bool(head.align_corners))
    if criterion.prediction_shift is not None and head.conv_seg.bias is None:
        raise UnsupportedHead(f"the classifier of {type(head).__name__} has no bias to shift predictions by")
    criterion.to(head.conv_seg.weight.device).train(head.training)
    plain: type = type(head)
    head.__class__ = _rebalanced(plain)
    head.add_module(_NAME, criterion)
    for other in others:
        if isinstance(other, BaseDecodeHead):
            kind: type = type(other)
            other.__class__ = _auxiliary(kind)
            other.loss_average = loss_average


def trained_heads(model: nn.Module) -> list[Any]:
    """The heads that `attach` made ready for steps in parts, the one with our criterion last."""
    return [head for head in _heads(model) if isinstance(head, (_Auxiliary, _Rebalanced))]


def _heads(model: nn.Module) -> list[Any]:
    """All heads with a loss, the one to rebalance last; that is None where there is no decode head."""
    decode, auxiliary = (getattr(model, name, None) for name in ("decode_head", "auxiliary_head"))
    stages = list(decode) if isinstance(decode, nn.ModuleList) and len(decode) else [decode]
    more = list(auxiliary) if isinstance(auxiliary, nn.ModuleList) else [auxiliary]
    return [*(head for head in more if head is not None), *stages]


def deployable_state(model: nn.Module) -> dict[str, Tensor]:
    """The state that the plain mmseg model loads with `strict=True`, to predict as `model` does in eval mode.

    Our criterion's entries are gone, and a shift of its predictions is part of the classifier's bias.
    """
    state: dict[str, Tensor] = model.state_dict()
    for name, module in model.named_modules():
        if isinstance(module, _Rebalanced) and module.rebalance_criterion.prediction_shift is not None:
            key = f"{name}.conv_seg.bias"
            state[key] = folded(state[key], module.rebalance_criterion.prediction_shift)
    return without_criterion(state)


def without_criterion(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A model's state without our criterion's entries."""
    return {name: value for name, value in state.items() if _NAME not in name.split(".")}


def folded(bias: Tensor, shift: Tensor) -> Tensor:
    """(K,) bias of the classifier, of whose logits (K,) `shift` is to be taken off."""
    return bias - shift.to(bias)


@functools.cache
def _rebalanced(base: type) -> type:
    return types.new_class(f"Rebalanced{base.__name__}", (_Rebalanced, base))


@functools.cache
def _auxiliary(base: type) -> type:
    return types.new_class(f"Auxiliary{base.__name__}", (_Auxiliary, base))


def _known_as(head_class: type) -> str:
    """The name of the mmseg class behind `head_class`, our own subclasses aside."""
    bases = (base for base in head_class.__mro__ if not issubclass(base, _Rebalanced))
    owner = next((base for base in bases if "loss_by_feat" in vars(base)), head_class)
    return owner.__name__ if owner is not BaseDecodeHead else head_class.__name__


def check_head(head: object) -> None:
    """Refuses a head whose losses we could not take over without changing what it is."""
    name = type(head).__name__
    if not isinstance(head, BaseDecodeHead):
        raise UnsupportedHead(f"{name} is no BaseDecodeHead of mmseg")
    if isinstance(head, _Rebalanced):
        raise UnsupportedHead(f"{name} has a criterion already")
    if type(head).cls_seg is not BaseDecodeHead.cls_seg or not isinstance(
        getattr(head, "conv_seg", None), nn.Conv2d
    ):
        raise UnsupportedHead(f"{name} does not classify pixels through BaseDecodeHead.cls_seg")
    if (
        type(head).loss_by_feat is not BaseDecodeHead.loss_by_feat
        and _known_as(type(head)) not in _OTHER_LOSSES
    ):
        raise UnsupportedHead(f"{name} has losses of its own, which are not on its classifier's logits alone")
    if head.conv_seg.out_channels != head.num_classes:
        raise UnsupportedHead(
            f"{name} gives {head.conv_seg.out_channels} logits for {head.num_classes} classes; "
            "one for each is needed"
        )
    if head.sampler is not None:
        raise UnsupportedHead(f"{name} samples pixels for its loss; our losses are means over all of them")


@torch.no_grad()
def _sampled_accuracy(logits: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    """() float32, percentage of right pixels among every 4th row's every 4th: a sixteenth of the cost."""
    step = _ACCURACY_STRIDE
    labels = target[:, ::step, ::step]
    right = logits[:, :, ::step, ::step].argmax(dim=1) == labels
    valid = valid_pixels(labels, ignore_index)
    return 100.0 * (right & valid).sum() / valid.sum().clamp(min=1)
