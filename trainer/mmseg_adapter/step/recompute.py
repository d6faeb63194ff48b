"""Activation checkpointing: blocks of a backbone are computed again in the backward pass, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial, wraps
from typing import Any

from mmseg.models.backbones.beit import BEiTTransformerEncoderLayer
from mmseg.models.backbones.hrnet import HRModule
from mmseg.models.backbones.resnet import BasicBlock, Bottleneck
from mmseg.models.backbones.swin import SwinBlock
from torch import nn
from torch.utils.checkpoint import checkpoint

from trainer.base.errors import RegionRebalanceError

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_BLOCKS = (HRModule, BasicBlock, Bottleneck, SwinBlock, BEiTTransformerEncoderLayer)


class NothingToRecompute(RegionRebalanceError):
    """The backbone has no blocks that we know."""


def recompute_blocks(model: nn.Module) -> None:
    """Makes the outermost known blocks of the backbone keep only their inputs. Results stay, bit for bit.

    Random draws are repeated; running statistics of batch norm are moved by the first pass alone, which
    mmseg's own `with_cp` does twice.

    Raises:
        NothingToRecompute: no block is of a known kind.
    """
    backbone = model.backbone
    assert isinstance(backbone, nn.Module)
    blocks = list(_outermost(backbone))
    if not blocks:
        raise NothingToRecompute(f"{type(backbone).__name__} has no blocks that can be recomputed")
    for block in blocks:
        block.forward = _recomputed(block)


def _outermost(module: nn.Module) -> Iterator[nn.Module]:
    for child in module.children():
        if isinstance(child, _BLOCKS):
            yield child
        else:
            yield from _outermost(child)


def _recomputed(block: nn.Module) -> Any:
    plain = block.forward

    @wraps(plain)
    def forward(*args: Any, **kwargs: Any) -> Any:
        if not block.training:
            return plain(*args, **kwargs)
        contexts = partial(_contexts, block)
        return checkpoint(plain, *args, use_reentrant=False, context_fn=contexts, **kwargs)

    return forward


def _contexts(block: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _frozen_statistics(block)


@contextmanager
def _frozen_statistics(block: nn.Module) -> Iterator[None]:
    """Batch norms inside move copies of their running statistics. (None at all would save fewer tensors.)"""
    norms = [each for each in block.modules() if isinstance(each, _NORMS)]
    kept = [(norm, name, value) for norm in norms for name, value in norm.named_buffers(recurse=False)]
    for norm, name, value in kept:
        setattr(norm, name, value.clone())
    try:
        yield
    finally:
        for norm, name, value in kept:
            setattr(norm, name, value)
