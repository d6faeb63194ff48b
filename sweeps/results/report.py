"""SweepReport: how one attempt at a sweep ended. Written whole or not at all, read strictly."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from sweeps.document.spec import SweepSpec
from trainer.base.ends import Reported
from trainer.base.strict_model import StrictModel
from trainer.results.report import AttemptError, read_whole
from trainer.storage.port import StoredFile

SCHEMA_VERSION: Final = 1


class EndCounts(StrictModel):
    """How many trials ended how: a field for each `End`, and `waiting` for those that never ran."""

    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    stopped: int = 0
    waiting: int = 0


class BestTrial(StrictModel):
    """The completed trial with the best value of the sweep's metric."""

    experiment: str
    row: str
    value: float


class SweepReport(StrictModel):
    """The end of one attempt. `completed`: the job came to its end; trials may have failed, or, after a
    limit, never have begun.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    sweep: str
    attempt: int = Field(ge=1)
    state: Reported
    spec: SweepSpec
    error: AttemptError | None = None
    trials: EndCounts = EndCounts()
    best: BestTrial | None = None
    limit: str | None = Field(
        default=None, description="Which limit kept trials from being begun; null: none did."
    )
    mlflow_run_id: str | None = None
    started_at: str = Field(description="ISO 8601, UTC.")
    ended_at: str


def write_sweep_report(report: SweepReport, file: StoredFile) -> None:
    """Writes `report` as JSON, atomically: a report that exists is whole."""
    file.write(report.model_dump_json(indent=1) + "\n")


def read_sweep_report(file: StoredFile) -> SweepReport | None:
    """The report in `file`, None where there is none yet; errors as in `read_whole`."""
    return read_whole(SweepReport, file)
