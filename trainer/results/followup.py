"""What one attempt at a follow-up left behind: its report. Written whole or not at all, read strictly."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from trainer.base.ends import Reported
from trainer.base.strict_model import StrictModel
from trainer.results.report import AttemptError, Scores, read_whole
from trainer.spec.followups import FollowupRequest, Format
from trainer.storage.notices import Notice
from trainer.storage.port import StoredFile

SCHEMA_VERSION: Final = 1


class _Of(StrictModel):
    checkpoint: str = Field(description="Name of the checkpoint, relative to the storage root.")
    iteration: int = Field(description="At which it was written.")
    versions: dict[str, str]


class EvaluationResult(_Of):
    """Scores of a checkpoint."""

    kind: Literal["evaluation"] = "evaluation"
    evaluation: dict[str, Scores] = Field(description="By mode, in the order asked for.")
    dataset: str
    eval_images: int
    eval_seconds: float
    pictures: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="Disagreement pictures kept, most disagreement first.",
    )


class PredictionResult(_Of):
    """One picture's labels: `labels.png`, `overlay.png` and `legend.png` in the follow-up's folder."""

    kind: Literal["prediction"] = "prediction"
    height: int
    width: int
    pixels: dict[str, int] = Field(description="Of each class that is there, by name.")


class ExportedFile(StrictModel):
    """One file or folder in another format; its labels were compared with the checkpoint's."""

    format: Format
    path: str = Field(description="Below the follow-up's `export` folder.")
    bytes: int
    sha256: str | None = Field(description="Of a file; null of a folder.")
    pictures: int = Field(description="Real pictures on which labels were compared.")
    differing: float = Field(description="Share of their pixels with another label.")


class ExportResult(_Of):
    """What was taken away."""

    kind: Literal["export"] = "export"
    files: tuple[ExportedFile, ...] = Field(strict=False)
    refused: dict[Format, str] = Field(description="Formats that the model does not allow, and why.")


FollowupResult = Annotated[EvaluationResult | PredictionResult | ExportResult, Field(discriminator="kind")]


class FollowupReport(StrictModel):
    """The end of one attempt at a follow-up."""

    schema_version: Literal[1] = SCHEMA_VERSION
    followup: str
    experiment: str
    attempt: int = Field(ge=1)
    state: Reported
    request: FollowupRequest
    result: FollowupResult | None = None
    error: AttemptError | None = None
    mlflow_run_id: str | None = None
    started_at: str = Field(description="ISO 8601, UTC.")
    ended_at: str
    timings: dict[str, float] = Field(default_factory=dict)
    notices: tuple[Notice, ...] = Field(default=(), strict=False)


def write_followup_report(report: FollowupReport, file: StoredFile) -> None:
    """Writes `report` as JSON, atomically: a report that exists is whole."""
    file.write(report.model_dump_json(indent=1) + "\n")


def read_followup_report(file: StoredFile) -> FollowupReport | None:
    """The report in `file`, None where there is none yet; errors as in `read_whole`."""
    return read_whole(FollowupReport, file)
