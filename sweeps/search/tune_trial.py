"""What Ray Tune takes for a trial: an actor that trains nothing and tells it what the run directory says."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

from ray import tune

from sweeps.search.evaluations import Follower
from trainer.storage.layout import Storage

_SHORTEST_WAIT, _LONGEST_WAIT = 0.02, 0.5  # seconds
_PATIENCE = 25.0  # a wait is this part of the time since something came


class Followed(NamedTuple):
    """A trial's config: JSON types only, for Tune copies it and writes it down."""

    number: int
    experiment: str
    storage: str
    metric: str
    iterations: int
    judged: bool


class FollowedTrial(tune.Trainable):  # type: ignore[misc]
    """One evaluation a step. That Tune asks for the next one goes out as a file, the permit to train on."""

    def setup(self, config: dict[str, Any]) -> None:
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        self._followed = Followed(**{name: config[name] for name in Followed._fields})
        self._follower = Follower(
            Storage(Path(self._followed.storage)),
            self._followed.experiment,
            metric=self._followed.metric,
            last=self._followed.iterations,
        )

    def step(self) -> dict[str, Any]:
        """Waits for the next evaluation. `ended` tells the trial's own end from a scheduler's."""
        since = time.monotonic()
        while True:
            if self._followed.judged:
                self._follower.go_on()
            seen = self._follower.poll()
            if seen is not None and (seen.ended or seen.value is not None):
                break
            waited = time.monotonic() - since
            time.sleep(min(_LONGEST_WAIT, max(_SHORTEST_WAIT, waited / _PATIENCE)))
        result = {"iteration": seen.iteration, "ended": seen.ended, "done": seen.ended}
        return result if seen.value is None else {**result, self._followed.metric: seen.value}
