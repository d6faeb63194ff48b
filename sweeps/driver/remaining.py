"""What is left of a sweep for a new driver to run, and what its search and scheduler must learn first."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sweeps.document.expand import Trial
from sweeps.driver.decide import shall_run
from sweeps.driver.summary import Board
from sweeps.driver.sweep_task import SweepTask
from sweeps.results.trial_progress import lost_attempts, trial_progress
from sweeps.search.candidates import Listed, Source, Suggested
from trainer.base.ends import End
from trainer.storage.layout import Storage
from trainer.storage.sink import last_record


def is_runnable(storage: Storage, experiment: str) -> bool:
    """Whether a new driver begins an attempt at this trial."""
    progress = trial_progress(storage, experiment)
    losses = lost_attempts(storage, experiment) if progress.end is End.FAILED else 0
    return shall_run(progress, losses, detached=storage.detached(experiment).exists())


def source_of(
    task: SweepTask, known: Sequence[Trial], *, board: Board, draw: Callable[..., Source] = Suggested
) -> Source:
    """The trials to come. What has ended of `known` comes again only where a scheduler must learn of it.

    `draw` makes the source of a sweep whose trials are drawn as it goes.
    """
    sweep, storage = task.sweep, task.storage

    def experiment(trial: Trial) -> str:
        return task.experiment(trial.number)

    def score(trial: Trial) -> float | None:
        """Of a trial that was stopped early, what it had reached."""
        report = board.report_of(trial.number)
        if report is None or report.end is not End.STOPPED:
            return board.value_of(report) if report else None
        last = last_record(storage.attempt(experiment(trial), report.attempt).metrics, "eval") or {}
        value = last.get(sweep.metric)
        return None if value is None else float(value)

    runnable = {trial.number for trial in known if is_runnable(storage, experiment(trial))}
    ended = [trial for trial in known if trial.number not in runnable]
    if ended:
        print(f"{len(ended)} trials have ended already and are not run again", flush=True)
    replayed = frozenset(
        trial.number
        for trial in ended
        if task.judged
        and board.report_of(trial.number) is not None
        and not storage.detached(experiment(trial)).exists()  # somebody else's now: it may run
    )
    if sweep.search == "optuna":
        told = [(trial, None if trial.number in runnable else (score(trial),)) for trial in known]
        return draw(sweep, told, first=replayed, resolve=task.resolve)
    left = runnable | replayed if runnable else frozenset()
    return Listed([trial for trial in known if trial.number in left], first=replayed)
