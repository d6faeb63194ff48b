"""A model without numbers: built and run on torch's meta device, where only shapes are.

Letters: H, W a crop's sides in pixels; h, w those of a map.
"""

from __future__ import annotations

import contextlib
import functools
import io
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from trainer.mmseg_adapter.model.config import revive
from trainer.mmseg_adapter.model.outline import outline as model_outline

Size = tuple[int, int]  # (height, width)

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
# What a model that cannot take an input raises: mmseg and torch have no class of their own for it.
CANNOT_RUN = (
    AssertionError,
    AttributeError,
    IndexError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)


def outline(model: dict[str, Any]) -> nn.Module:
    """The model of a config in JSON types, in training mode, all of it on the meta device."""
    with _quiet():
        built = model_outline(revive(model))
    return built.to("meta").train()


def normalised_maps(model: nn.Module, crop: Size) -> list[Size]:
    """(h, w) of what each batch norm gets from two pictures of a crop, in the order in which they run.

    Raises:
        CANNOT_RUN: the model does not take pictures of this size, or cannot be run without numbers.
    """
    seen: list[Size] = []

    def noted(norm: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        if norm.training:
            sides = list(inputs.shape[2:])
            seen.append((sides[0], sides[-1]) if sides else (1, 1))
        return inputs

    norms: list[Any] = [module for module in model.modules() if isinstance(module, _BATCH_NORMS)]
    for norm in norms:  # a norm changes no shape
        norm.forward = functools.partial(noted, norm)
    try:
        _run(model, crop)
    finally:
        for norm in norms:
            del norm.forward
    return seen


def _run(model: Any, crop: Size) -> None:
    """One forward pass through backbone, neck and all heads."""
    with _quiet(), torch.no_grad(), torch.device("meta"):
        features = model.extract_feat(torch.zeros(2, 3, *crop))
        decode = model.decode_head
        first, *others = decode if isinstance(decode, nn.ModuleList) else [decode]
        logits = first.forward(features)
        for head in others:
            logits = head.forward(features, logits)
        auxiliary: Any = getattr(model, "auxiliary_head", None)
        for head in auxiliary if isinstance(auxiliary, nn.ModuleList) else [auxiliary]:
            if head is not None:
                head.forward(features)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without mmseg's remarks on deprecated words and odd sizes."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
