"""One attempt at a trial as plain data: what a driver hands to the process that runs it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainer.base.errors import NodeLost
from trainer.base.strict_model import StrictModel
from trainer.results.report import RunReport
from trainer.run.attempt import Attempt, Tracking
from trainer.spec.spec import ExperimentSpec
from trainer.storage.layout import Storage


class Task(StrictModel):
    """An attempt. `judged`: a scheduler looks at each evaluation before the trial goes on."""

    storage: str
    experiment: str
    attempt: int
    spec: ExperimentSpec
    mlflow_uri: str | None = None
    mlflow_tags: dict[str, str] = Field(default_factory=dict)
    judged: bool = False

    def make(self) -> Attempt:
        """The attempt, not yet begun."""
        return Attempt(
            self.spec,
            storage=Storage.at(self.storage),
            experiment=self.experiment,
            attempt=self.attempt,
            tracking=Tracking(self.mlflow_uri, self.mlflow_tags),
            judged=self.judged,
        )


class TaskEnd(StrictModel):
    """How it ended: with a report, or without its worker (`node`: nor its node)."""

    end: Literal["completed", "failed", "cancelled", "lost"]
    message: str = ""
    node: bool = False


def end_of(result: RunReport | Exception) -> TaskEnd:
    """What `Attempt.run` came back with, for the driver."""
    if isinstance(result, RunReport):
        return TaskEnd(end=result.state)
    return TaskEnd(end="lost", message=str(result), node=isinstance(result, NodeLost))
