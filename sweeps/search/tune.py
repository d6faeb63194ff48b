"""Ray Tune's side of a sweep, and the one place where its words become ours.

| Tune | here |
|---|---|
| `Searcher.suggest` | the source's next trial, `TrialDriver.begin`; Tune gets what follows it |
| `Searcher.on_trial_complete` | the source learns how a trial did: `Source.ended` |
| `Callback.on_step_begin` | `TrialDriver.check_in` |
| `Callback.on_trial_complete`, before its end | the scheduler gave a trial up: `TrialDriver.stop` |
| `Callback.on_trial_error` | nobody follows a trial any more: `TrialDriver.stop` |
| `Trainable.step` | waits for a trial's next evaluation (`sweeps.search.tune_trial`) |
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.search import Searcher

from sweeps.document.spec import SweepSpec
from sweeps.search.candidates import Source
from sweeps.search.protocol import TrialDriver
from sweeps.search.ray_compat import HEAD_NODE
from sweeps.search.schedulers import scheduler_of
from sweeps.search.tune_trial import Followed, FollowedTrial
from trainer.base.errors import StoppedEarly
from trainer.storage.directories import trial_id
from trainer.storage.layout import Storage

# Set before anything of Tune's is made; it reads them at import or at its start.
ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a trial that failed has none
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
}
# Trials in Tune's eyes take no CPU from those that train.
_SLIVER = {HEAD_NODE: 0.001}


def run_search(
    sweep: SweepSpec,
    source: Source,
    driver: TrialDriver,
    *,
    identifier: str,
    storage: Storage,
    trials: int,
    directory: Path,
) -> None:
    """Begins the source's trials and stops those that the scheduler gives up; returns when all have ended.

    Args:
        trials: how many may come at most.
        directory: where Tune keeps what it writes down, which nobody reads.
    """
    # A sweep that is paused at its start has no room now: Tune would never ask for a trial.
    prepare_environment(max(1, driver.room()))
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
        search_alg=Feed(sweep, source, driver, identifier=identifier, storage=storage),
        scheduler=scheduler_of(sweep),
        callbacks=[Decisions(sweep, driver)],
        reuse_actors=True,
        max_failures=3,  # of the actor that reads evaluations: it knows nothing that it cannot read again
        raise_on_failed_trial=False,
        trial_dirname_creator=lambda trial: f"{trial.config['number']:04d}",
        verbose=0,
    )


def prepare_environment(trials_at_once: int) -> None:
    """Sets Tune's switches; nothing that is set already is changed."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", str(trials_at_once))


class Feed(Searcher):  # type: ignore[misc]
    """What Tune takes for a search algorithm: the source's trials, as many at once as there is room for."""

    def __init__(
        self, sweep: SweepSpec, source: Source, driver: TrialDriver, *, identifier: str, storage: Storage
    ) -> None:
        super().__init__(metric=sweep.metric, mode=sweep.direction)
        self._sweep = sweep
        self._source = source
        self._driver = driver
        self._identifier = identifier
        self._storage = storage
        self._under_way: dict[str, int] = {}  # our numbers by Tune's ids

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Begins the next trial; None while there is no room or no trial yet, FINISHED where none follows."""
        if self._source.exhausted or not self._driver.may_begin():
            return str(Searcher.FINISHED)
        if len(self._under_way) >= self._driver.room():
            return None
        trial = self._source.next()
        if trial is None:
            return None
        self._under_way[trial_id] = trial.number
        self._driver.begin(trial, last=self._source.exhausted)
        return self._followed(trial.number, trial.spec.schedule.iterations)._asdict()

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tells the source of a trial's end and makes room."""
        del error
        number = self._under_way.pop(trial_id, None)
        if number is not None:
            self._source.ended(number, (result or {}).get(self.metric))

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a new driver learns all from storage."""

    def restore(self, checkpoint_path: str) -> None:
        """Never asked for: see `save`."""

    def _followed(self, number: int, iterations: int) -> Followed:
        return Followed(
            number=number,
            experiment=trial_id(self._identifier, number),
            storage=str(self._storage.root),
            metric=self._sweep.metric,
            iterations=iterations,
            judged=self._sweep.scheduler.kind != "none",
        )


class Decisions(tune.Callback):  # type: ignore[misc]
    """Passes on what Tune's scheduler decides about trials."""

    def __init__(self, sweep: SweepSpec, driver: TrialDriver) -> None:
        self._sweep = sweep
        self._driver = driver

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """A round of Tune's loop, also where nothing is left to begin."""
        self._driver.check_in()

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Nobody follows the trial any more: it must not wait for a verdict that never comes."""
        self._driver.stop(trial.config["number"], StoppedEarly("its run directory could not be read"))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Stops a trial that has not ended by itself: then it was the scheduler that ended it."""
        last = trial.last_result or {}
        if not last.get("ended"):
            self._driver.stop(trial.config["number"], StoppedEarly(self._verdict(last)))

    def _verdict(self, last: dict[str, Any]) -> str:
        value = last.get(self._sweep.metric)
        score = "" if value is None else f": {self._sweep.metric} {value:.2f}"
        return f"stopped by {self._sweep.scheduler.kind} at iteration {last.get('iteration', 0)}{score}"
