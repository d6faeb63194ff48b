"""A sweep's trials with their data sets looked at where the data are, once the driver is on its cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from sweeps.document.expand import Trial, expand
from sweeps.document.resolve import kind_of
from sweeps.driver.sweep_task import SweepTask
from trainer.run.near_data import near_data
from trainer.spec.data.datasets import AnyDataset
from trainer.storage.waiting import Waits

Look = Callable[[Sequence[Trial]], Sequence[Trial]]


def looked_at(
    task: SweepTask, waits: Waits, *, near: Callable[..., Sequence[Trial]] = near_data
) -> SweepTask:
    """The task with its trials resolved; as it is where that was done before.

    Args:
        waits: told why, while a worker is waited for.
        near: calls a function where the data are.

    Raises: see `resolve_trials`, `near_data`.
    """
    if task.look is None:
        return task
    look = task.look
    known = _Known(lambda trials: near(partial(look, trials), most=task.max_cluster, waits=waits))
    trials = known.look(task.trials or expand(task.sweep))
    return replace(task, trials=trials if task.trials else (), resolve=known.resolve, look=None)


class _Known:
    """Data sets that were looked at, by kind of trial: drawing another trial of a kind opens no file."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._datasets: dict[str, AnyDataset] = {}

    def look(self, trials: Sequence[Trial]) -> tuple[Trial, ...]:
        found = tuple(self._look(trials))
        self._datasets |= {kind_of(was): now.spec.dataset for was, now in zip(trials, found, strict=True)}
        return found

    def resolve(self, trial: Trial) -> Trial:
        dataset = self._datasets.get(kind_of(trial))
        if dataset is None:
            return self.look([trial])[0]
        return replace(trial, spec=trial.spec.model_copy(update={"dataset": dataset}))
