"""How an attempt at a trial ended, as plain data: what the process that ran it tells its driver."""

from __future__ import annotations

from typing import Literal

from trainer.base.ends import Reported
from trainer.base.errors import NodeLost
from trainer.base.strict_model import StrictModel
from trainer.results.report import AttemptReport


class TaskEnd(StrictModel):
    """How it ended: with a report, or without its worker (`node`: nor its node)."""

    end: Reported | Literal["lost"]
    message: str = ""
    node: bool = False


def end_of(result: AttemptReport | Exception) -> TaskEnd:
    """What `Attempt.run` came back with, for the driver."""
    if isinstance(result, AttemptReport):
        return TaskEnd(end=result.state)
    return TaskEnd(end="lost", message=str(result), node=isinstance(result, NodeLost))
