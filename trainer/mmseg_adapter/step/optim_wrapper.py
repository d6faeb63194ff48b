"""mmengine's optimiser wrapper for steps in parts, under any precision, judged before the weights move."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmseg.registry import OPTIM_WRAPPERS
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from trainer.mmseg_adapter.step.guard import Guard

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@OPTIM_WRAPPERS.register_module()
class StepOptimWrapper(OptimWrapper):  # type: ignore[misc]
    """Adds up the gradients of a step's parts, and moves the weights once unless the guard refuses.

    On a GPU with a fused optimiser nothing of it waits for the device: the optimiser itself leaves a refused
    step out (torch's `found_inf`). Elsewhere the numbers are at hand, and the step is not begun.
    """

    moved = True  # by the last step, as far as that is known without waiting

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        precision: str = "float32",
        clip_gradient_norm: float | None = None,
        most_skipped: int = 0,
    ) -> None:
        super().__init__(optimizer)
        self.guard = Guard(most_skipped)
        self._largest_norm = clip_gradient_norm
        self._type = _TYPES.get(precision)
        self._device = optimizer.param_groups[0]["params"][0].device.type
        self._scaler = torch.amp.GradScaler(self._device) if precision == "fp16" else None
        self._fused = bool(optimizer.param_groups[0].get("fused"))
        if self._fused:
            _begin_momentum(optimizer)

    @contextmanager
    def part(self, model: Any, *, last: bool) -> Iterator[None]:
        """Forward passes inside run under the precision; workers exchange gradients after the last part."""
        with ExitStack() as around:
            if not last and hasattr(model, "no_sync"):
                around.enter_context(model.no_sync())
            if self._type is not None:
                around.enter_context(torch.autocast(self._device, self._type))
            yield

    def add(self, loss: Tensor) -> None:
        """Adds the gradient of one part."""
        scaled: Any = loss if self._scaler is None else self._scaler.scale(loss)
        scaled.backward()
        self._inner_count += 1

    def move(self, loss: Tensor, parts: Mapping[str, Tensor]) -> None:
        """Moves the weights by what was added, or leaves the step out.

        Args:
            loss: () of the whole step.
            parts: losses by name, for the guard's message.

        Raises:
            NonFiniteLoss: loss or gradient is not finite, and no more steps may be left out.
        """
        if self._scaler is not None:
            self._scaler.unscale_(self.optimizer)
        grads = [each for each in self._parameters() if each.grad is not None]
        norm = get_total_norm([each.grad for each in grads if each.grad is not None])
        # A scaled loss may overflow in the gradient: the scaler leaves such a step out and scales by less.
        bad = self.guard.judge(parts, loss, norm if self._scaler is None else None)
        if self._largest_norm is not None:
            clip_grads_with_norm_(grads, self._largest_norm, norm)
        left_out = not self._fused and self.guard.settle(wait=True)
        if self._fused:
            setattr(self.optimizer, "found_inf", bad.float())  # noqa: B010 - torch sets it so itself
        self.step(left_out=left_out)
        self.zero_grad()
        if self._fused:
            left_out = self.guard.settle(wait=False)
        self.moved = not left_out

    def step(self, *, left_out: bool = False, **kwargs: Any) -> None:
        """The optimiser's own, unless the step is left out; mmengine's schedulers count both."""
        if left_out:
            return
        if self._scaler is None:
            self.optimizer.step(**kwargs)
            return
        self._scaler.step(self.optimizer, **kwargs)
        self._scaler.update()

    def _parameters(self) -> Iterator[Tensor]:
        for group in self.optimizer.param_groups:
            yield from group["params"]

    def state_dict(self) -> dict[str, Any]:
        """The optimiser's, and what a resumed run needs beside it."""
        state: dict[str, Any] = super().state_dict()
        state["skipped"] = self.guard.skipped
        if self._scaler is not None:
            state["scaler"] = self._scaler.state_dict()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        state = dict(state_dict)
        self.guard.skipped = state.pop("skipped", 0)  # checkpoints from before it have none
        scaler = state.pop("scaler", None)
        if self._scaler is not None and scaler is not None:
            self._scaler.load_state_dict(scaler)
        super().load_state_dict(state)


def _begin_momentum(optimizer: torch.optim.Optimizer) -> None:
    """Zeros, which give the same first step: torch would leave them unset if it were left out."""
    for group in optimizer.param_groups:
        if group.get("momentum"):
            for parameter in group["params"]:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
