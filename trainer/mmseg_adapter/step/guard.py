"""Keeps a loss or gradient that is not finite from moving the weights."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed

from trainer.base.errors import NonFiniteLoss
from trainer.base.text import printable
from trainer.losses.reduction import world_size


class _Judged(NamedTuple):
    """A step whose numbers may still be on their way from the device."""

    iteration: int
    pictures: tuple[str, ...]
    parts: Mapping[str, Tensor]
    norm: Tensor
    bad: Tensor  # () bool, in the host's memory
    ready: Any  # torch.cuda.Event; None where the numbers are at hand


class Guard:
    """Judges each step on its device; what came of it is read as soon as that costs no wait.

    A step that is judged bad is left out by the optimiser itself; at most `most_skipped` of them, 0 for none,
    are let pass.
    """

    def __init__(self, most_skipped: int = 0) -> None:
        self.skipped = 0  # in all, kept in checkpoints
        self._most_skipped = most_skipped
        self._iteration = 0
        self._pictures: tuple[str, ...] = ()
        self._open: deque[_Judged] = deque()
        self._news: list[tuple[int, str]] = []

    def begin(self, iteration: int, pictures: Iterable[str]) -> None:
        """A step begins: which it is, counted from 1, and the files of its pictures on this rank."""
        self._iteration = iteration
        self._pictures = tuple(printable(PurePath(path).name) for path in pictures)

    def judge(self, parts: Mapping[str, Tensor], loss: Tensor, norm: Tensor | None) -> Tensor:
        """() bool, whether the step must not move the weights: on any rank. A collective call.

        Args:
            parts: losses by name, for the message.
            loss: () their sum.
            norm: () of the gradient; None where a gradient that is not finite is somebody else's matter.
        """
        bad = ~loss.isfinite()
        if norm is not None:
            bad = bad | ~norm.isfinite().to(bad.device)
        if world_size() > 1:
            votes = bad.int()
            distributed.all_reduce(votes)
            bad = votes > 0
        seen = norm if norm is not None else torch.zeros_like(loss)
        ready = None
        # Read from the host's memory: to read the device's would wait for all that it was given since.
        verdict = bad.to("cpu", non_blocking=True)
        if bad.is_cuda:
            ready = torch.cuda.Event()  # type: ignore[no-untyped-call]
            ready.record()
        self._open.append(_Judged(self._iteration, self._pictures, parts, seen, verdict, ready))
        return bad

    def settle(self, *, wait: bool) -> bool:
        """Reads what was judged; whether a step among it was left out.

        Args:
            wait: also for what is still on its way.

        Raises:
            NonFiniteLoss: more steps than allowed were bad.
        """
        found = False
        while self._open and (wait or self._open[0].ready is None or self._open[0].ready.query()):
            step = self._open.popleft()
            if not bool(step.bad):
                continue
            found = True
            self.skipped += 1
            error = _told(step)
            if self.skipped > self._most_skipped:
                raise error
            left = self._most_skipped - self.skipped
            self._news.append((step.iteration, f"step left out: {error}; {left} more may be"))
        return found

    def news(self) -> list[tuple[int, str]]:
        """(iteration, what happened) since the last call."""
        told, self._news = self._news, []
        return told


def _told(step: _Judged) -> NonFiniteLoss:
    losses = {name: float(value) for name, value in step.parts.items()}
    numbers = {**losses, "gradient norm": float(step.norm)}
    name = next((name for name, value in numbers.items() if value - value != 0), "the loss of another worker")
    return NonFiniteLoss(step.iteration, name, numbers.get(name, float("nan")), numbers, step.pictures)
