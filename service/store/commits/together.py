"""What many threads ask for at the same time, done by one of them for all: in one go, not each in turn.

Python runs one thread at a time, and each statement lets another one go on: sixteen that write side by side
cost more than twice what one of them does that writes all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")

_MOST = 64  # at once: those before must not keep anybody waiting for long


@dataclass(eq=False)
class _Asked(Generic[Item]):
    """What one thread asks for; `turn`: it is done, or this thread is to do what waits."""

    item: Item
    turn: threading.Event = field(default_factory=threading.Event)
    done: bool = False
    error: BaseException | None = None


class Together(Generic[Item]):
    """Any thread may ask; each returns once its own is done."""

    def __init__(
        self, act: Callable[[Sequence[Item]], None], *, of_one: type[Exception] | tuple[type[Exception], ...]
    ) -> None:
        """`act` does all that it is given, or nothing and raises: `of_one` where it was for a single one."""
        self._act = act
        self._of_one = of_one
        self._lock = threading.Lock()
        self._waiting: list[_Asked[Item]] = []
        self._under_way = False

    def do(self, item: Item) -> None:
        """Returns once it is done. Raises what it came to; what is `of_one` comes to nobody else."""
        mine = _Asked(item)
        with self._lock:
            self._waiting.append(mine)
            leads, self._under_way = not self._under_way, True
        if not leads:
            mine.turn.wait()
        if not mine.done:
            self._do_what_waits(mine)
        if mine.error is not None:
            raise mine.error

    def _do_what_waits(self, mine: _Asked[Item]) -> None:
        """For this thread and those behind it; then the next one's turn comes, whatever happened."""
        with self._lock:
            some, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
        failed: BaseException | None = None
        try:
            self._try(some)
        except BaseException as error:
            failed = error
            if not mine.done:
                raise
        finally:
            self._pass_on(some, failed)

    def _try(self, some: Sequence[_Asked[Item]]) -> None:
        """All at once, or each by itself where one may be to blame."""
        try:
            self._act([each.item for each in some])
        except self._of_one as error:
            if len(some) > 1:
                for each in some:
                    self._try([each])
                return
            some[0].error = error
        for each in some:
            each.done = True

    def _pass_on(self, some: list[_Asked[Item]], failed: BaseException | None) -> None:
        with self._lock:
            if failed is not None:  # who waited for it meanwhile does not wait as long once more
                some, self._waiting = some + self._waiting, []
            following = self._waiting[0] if self._waiting else None
            self._under_way = following is not None
        for each in some:
            if not each.done:
                each.done, each.error = True, failed
            each.turn.set()
        if following is not None:
            following.turn.set()
