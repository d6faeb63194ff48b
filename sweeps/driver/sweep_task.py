"""One attempt at a sweep as plain data: what to run, and where."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sweeps.document.expand import Trial
from sweeps.document.spec import SweepSpec
from trainer.spec.recipes import Machines
from trainer.storage.directories import AttemptDir, SweepDir, trial_id
from trainer.storage.layout import Storage
from trainer.task import Task


@dataclass(frozen=True)
class SweepTask:
    """`trials` are all of a grid or random search; optuna makes its own, which `resolve` fills in.

    `look`: where nobody has looked at the trials' data sets yet, what does (see `looked_at`); it survives
    pickling.
    `data_roots`: the directories of those that specs name.
    """

    sweep: SweepSpec
    identifier: str
    attempt: int
    storage: Storage
    mlflow_uri: str | None
    trials: Sequence[Trial]
    total: int
    data_roots: Mapping[str, str]
    max_cluster: Machines | None
    resolve: Callable[[Trial], Trial]
    look: Callable[[Sequence[Trial]], Sequence[Trial]] | None = None

    @property
    def directory(self) -> SweepDir:
        return self.storage.sweep(self.identifier)

    @property
    def attempt_dir(self) -> AttemptDir:
        return self.directory.attempt(self.attempt)

    @property
    def judged(self) -> bool:
        """Whether a scheduler looks at each evaluation."""
        return self.sweep.scheduler.kind != "none"

    def experiment(self, number: int) -> str:
        """The id of the experiment that trial `number` is."""
        return trial_id(self.identifier, number)

    def task(self, trial: Trial, attempt: int, tags: Mapping[str, str]) -> Task:
        """An attempt at one of its trials."""
        return Task(
            experiment=self.experiment(trial.number),
            attempt=attempt,
            spec=trial.spec,
            storage=str(self.storage.root),
            mlflow_uri=self.mlflow_uri,
            mlflow_tags=dict(tags),
            judged=self.judged,
            data_roots=dict(self.data_roots),
            max_cluster=self.max_cluster,
        )
