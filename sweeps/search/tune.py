"""Ray Tune's side of a sweep: trials in, decisions of its scheduler out."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.search import Searcher

from sweeps.document.expand import Trial
from sweeps.document.spec import SweepSpec
from sweeps.search.candidates import Source
from sweeps.search.schedulers import scheduler_of
from sweeps.search.tune_trial import FollowedTrial
from trainer.base.errors import StoppedEarly

# Set before anything of Tune's is made; it reads them at import or at its start.
ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a trial that failed has none
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
}
# A sliver of a resource that every cluster has once: trials in Tune's eyes take no CPU from those that train.
_SLIVER = {"node:__internal_head__": 0.001}


class Feed(Searcher):  # type: ignore[misc]
    """Hands Tune the trials of a source, as many at once as there is room for."""

    def __init__(
        self,
        sweep: SweepSpec,
        source: Source,
        *,
        begin: Callable[[Trial], Mapping[str, Any]],
        room: Callable[[], int],
        over: Callable[[], bool],
    ) -> None:
        super().__init__(metric=sweep.metric, mode=sweep.direction)
        self._source = source
        self._begin = begin
        self._room = room
        self._over = over
        self._live: dict[str, int] = {}

    def more(self) -> bool:
        """Whether trials may still come."""
        return not self._over() and not self._source.exhausted

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if not self.more():
            return str(Searcher.FINISHED)
        if len(self._live) >= self._room():
            return None
        trial = self._source.next()
        if trial is None:
            return None
        self._live[trial_id] = trial.number
        return dict(self._begin(trial))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        del error
        number = self._live.pop(trial_id, None)
        if number is not None:
            self._source.ended(number, (result or {}).get(self.metric))

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a new driver learns all from storage."""

    def restore(self, checkpoint_path: str) -> None:
        """Never asked for: see `save`."""


class Decisions(tune.Callback):  # type: ignore[misc]
    """Passes on what Tune's scheduler decides about trials."""

    def __init__(self, sweep: SweepSpec, feed: Feed, *, stop: Callable[[int, StoppedEarly], None]) -> None:
        self._sweep = sweep
        self._feed = feed
        self._stop = stop

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """A newer driver ends this one, also when nothing is left to begin."""
        self._feed.more()

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Nobody follows the trial any more: it must not wait for a verdict that never comes."""
        self._stop(trial.config["number"], StoppedEarly("its run directory could not be read"))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        last = trial.last_result or {}
        if last.get("ended"):
            return
        metric = self._sweep.metric
        value = last.get(metric)
        score = "" if value is None else f": {metric} {value:.2f}"
        where = f"at iteration {last.get('iteration', 0)}"
        self._stop(
            trial.config["number"], StoppedEarly(f"stopped by {self._sweep.scheduler.kind} {where}{score}")
        )


def run_tune(sweep: SweepSpec, feed: Feed, decisions: Decisions, *, trials: int, directory: Path) -> None:
    """Runs Tune until the feed is exhausted and every trial has ended in its eyes."""
    # Its loggers are off, so that it warns of each trial that it finds no result file.
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    tune.run(
        FollowedTrial,
        name="tune",
        storage_path=str(directory),
        metric=sweep.metric,
        mode=sweep.direction,
        num_samples=trials,
        resources_per_trial=tune.PlacementGroupFactory([_SLIVER]),
        search_alg=feed,
        scheduler=scheduler_of(sweep),
        callbacks=[decisions],
        reuse_actors=True,
        max_failures=3,  # of the follower, which knows nothing that it cannot read again
        raise_on_failed_trial=False,
        trial_dirname_creator=lambda trial: f"{trial.config['number']:04d}",
        verbose=0,
    )


def prepare_environment(trials_at_once: int) -> None:
    """Sets Tune's switches; nothing that is set already is changed."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", str(trials_at_once))
