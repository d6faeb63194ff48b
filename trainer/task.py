"""One attempt as plain data: what is asked for, before anything is read, counted or rendered."""

from __future__ import annotations

from pydantic import Field

from trainer.base.strict_model import StrictModel
from trainer.spec.recipes import Machines
from trainer.spec.spec import ExperimentSpec
from trainer.storage.directories import AttemptDir
from trainer.storage.layout import Storage


class Task(StrictModel):
    """An attempt at an experiment, where it is kept, what tracks it: all that one process hands to another.

    `mlflow_tags` are of the run beside those that every run has. `judged`: it waits after each evaluation
    until the scheduler of a sweep has looked at it. `data_roots`: here, the directories of those that specs
    name. `max_cluster`: what the cluster may grow to. What it is resolved to is a `trainer.plan.Plan`.
    """

    experiment: str
    attempt: int
    spec: ExperimentSpec
    storage: str
    mlflow_uri: str | None = None
    mlflow_tags: dict[str, str] = Field(default_factory=dict)
    judged: bool = False
    data_roots: dict[str, str] = Field(default_factory=dict)
    max_cluster: Machines | None = None

    @property
    def layout(self) -> Storage:
        return Storage.at(self.storage)

    @property
    def attempt_dir(self) -> AttemptDir:
        return self.layout.attempt(self.experiment, self.attempt)
