"""Which part of a model draws random numbers when it predicts: its labels are no function of the picture."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from trainer.mmseg_adapter.export.pictures import Labels, Picture, predicted
from trainer.mmseg_adapter.torch_compat import DispatchMode

_SEEDS = (1, 2)


class _Draws(DispatchMode):  # type: ignore[misc]
    """Notes the module in which a random operator of torch runs first."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.found: str | None = None
        self._inside: list[str] = []
        self._hooks = []
        for name, module in model.named_modules():
            entered = partial(self._enter, f"{name} ({type(module).__name__})" if name else "the model")
            self._hooks += [
                module.register_forward_pre_hook(entered),
                module.register_forward_hook(self._leave, always_call=True),
            ]

    def _enter(self, called: str, *_: Any) -> None:
        self._inside.append(called)

    def _leave(self, *_: Any) -> None:
        self._inside.pop()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self.found is None and torch.Tag.nondeterministic_seeded in func.tags:
            self.found = self._inside[-1] if self._inside else "the model"
        return func(*args, **(kwargs or {}))

    def remove(self) -> None:
        for hook in self._hooks:
            hook.remove()


def drawing_part(model: nn.Module, picture: Picture) -> str | None:
    """The part whose predictions are drawn, by name; None where labels depend on the picture alone.

    Its operators are looked at while it predicts; what draws elsewhere, in numpy say, shows in the labels of
    two predictions under different seeds.

    Args:
        picture: (H, W, 3) uint8, at the size at which it is scored.
    """
    streams = torch.random.get_rng_state(), np.random.get_state(), random.getstate()
    try:
        return _drawing_part(model, picture)
    finally:
        torch.random.set_rng_state(streams[0])
        np.random.set_state(streams[1])
        random.setstate(streams[2])


def _drawing_part(model: nn.Module, picture: Picture) -> str | None:
    draws = _Draws(model)
    try:
        with draws:
            one, other = (_under(seed, model, picture) for seed in _SEEDS)
    finally:
        draws.remove()
    if draws.found is None and not np.array_equal(one, other):
        return "the model"
    return draws.found


def _under(seed: int, model: nn.Module, picture: Picture) -> Labels:
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    return predicted(model, picture, picture.shape[:2])
