"""How far the scoring of a split is, told now and then: in many views it takes minutes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from mmengine.dist import get_world_size

_SECONDS = 20.0


class ScoringProgress:
    """Counts pictures of this rank, and tells of those of all, for ranks take equal shares."""

    def __init__(
        self, pictures: int, tell: Callable[[str], None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`pictures` of the split; `clock` in seconds."""
        self._pictures, self._tell, self._clock = pictures, tell, clock
        self._done, self._next = 0, clock() + _SECONDS

    def add(self, *picture: Any) -> None:
        """A picture was scored, whatever it was."""
        del picture
        self._done += 1
        if self._clock() >= self._next:
            self._next = self._clock() + _SECONDS
            done = min(self._pictures, self._done * get_world_size())
            self._tell(f"scored {done} of {self._pictures} pictures")
