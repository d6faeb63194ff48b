"""What Ray Tune takes for a trial: an actor that trains nothing and tells it what the run directory says."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ray import tune

from sweeps.search.evaluations import Evaluation, EvaluationReader
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
    """One evaluation a step, which Tune asks for where its scheduler lets the trial go on."""

    def setup(self, config: dict[str, Any]) -> None:
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        self._followed = Followed(**{name: config[name] for name in Followed._fields})
        self._reader = EvaluationReader(
            Storage(Path(self._followed.storage)),
            self._followed.experiment,
            metric=self._followed.metric,
            last=self._followed.iterations,
        )

    def step(self) -> dict[str, Any]:
        """The next evaluation, or the end."""
        evaluation = next_evaluation(self._reader, judged=self._followed.judged)
        return told(evaluation, self._followed.metric)


def next_evaluation(
    reader: EvaluationReader,
    *,
    judged: bool,
    sleep: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Evaluation:
    """The next evaluation that has a value, or the end; waits for it.

    A `judged` trial is permitted to train on first: that it is followed further is the scheduler's word.
    """
    since = clock()
    while True:
        if judged:
            reader.go_on()
        evaluation = reader.poll()
        if evaluation is not None and (evaluation.ended or evaluation.value is not None):
            return evaluation
        sleep(min(_LONGEST_WAIT, max(_SHORTEST_WAIT, (clock() - since) / _PATIENCE)))


def told(evaluation: Evaluation, metric: str) -> dict[str, Any]:
    """What Tune is told, and with it scheduler and search; `ended`: by itself, not by a scheduler."""
    result = {"iteration": evaluation.iteration, "ended": evaluation.ended, "done": evaluation.ended}
    return result if evaluation.value is None else {**result, metric: evaluation.value}
