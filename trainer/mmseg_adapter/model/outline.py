"""A model without numbers: names and shapes on the meta device, which takes no memory however large it is."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import mmseg.models  # noqa: F401 - fills mmseg's registries
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

# What modules make out of nothing. linspace is left out: mmseg reads drop rates from it, which are few.
_MAKING = (
    torch.empty,
    torch.zeros,
    torch.ones,
    torch.full,
    torch.rand,
    torch.randn,
    torch.arange,
    torch.eye,
)


class BeyondLimit(Exception):
    """More tensors or numbers than a model may have; the text says which."""


class _Outlines(TorchFunctionMode):
    """What is made out of nothing has a shape and no numbers, and is counted: no loop goes on for ever."""

    def __init__(self, most_tensors: int, most_numbers: int, largest: int) -> None:
        super().__init__()
        self._tensors, self._numbers, self._largest = most_tensors, most_numbers, largest

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func in _MAKING
        result = func(*args, **{**(kwargs or {}), **({"device": "meta"} if made else {})})
        if not isinstance(result, Tensor):
            return result
        if made:
            self._tensors -= 1
            self._numbers -= result.numel()
            if self._tensors < 0:
                raise BeyondLimit("it has too many layers")
            if self._numbers < 0:
                raise BeyondLimit("it has too many parameters")
        if result.numel() > self._largest:
            raise BeyondLimit(f"a map of {tuple(result.shape)} numbers would come up in it")
        return result


@contextlib.contextmanager
def outlining(
    *, most_tensors: int = 2**63, most_numbers: int = 2**63, largest: int = 2**63
) -> Iterator[None]:
    """In this context mmseg's modules are built, and run, on the meta device.

    Args:
        most_tensors: that are made out of nothing: parameters and buffers.
        most_numbers: in all of these.
        largest: most numbers in any tensor.

    Raises:
        BeyondLimit: where one of them is passed.
    """
    with (
        warnings.catch_warnings(),
        DefaultScope.overwrite_default_scope("mmseg"),
        _Outlines(most_tensors, most_numbers, largest),
    ):
        warnings.simplefilter("ignore")
        yield


def outline(model_config: Mapping[str, Any]) -> nn.Module:
    """The model on the meta device: names and shapes of its parameters and buffers.

    Args:
        model_config: as mmengine wants it; see `mmseg_adapter.config.revive`.

    Raises: whatever mmseg raises where it cannot build it.
    """
    with outlining():
        built: nn.Module = MODELS.build(Config(dict(model_config)))
    return built


def count_parameters(model_config: Mapping[str, Any]) -> int:
    """How many numbers are trained in the plain model, all its heads included. Raises as `outline`."""
    return sum(parameter.numel() for parameter in outline(model_config).parameters())
