"""What one attempt at an experiment left behind: its report. Written whole or not at all, read strictly."""

from __future__ import annotations

from typing import Final, Literal, TypeVar

from pydantic import Field, ValidationError

from trainer.base.ends import End, Reported
from trainer.base.errors import ReportError, StoppedEarly
from trainer.base.strict_model import StrictModel
from trainer.base.text import AnyText
from trainer.results.metrics import Group
from trainer.results.scores import OverallScores
from trainer.spec.spec import ExperimentSpec
from trainer.storage.notices import Notice
from trainer.storage.port import StoredFile

Document = TypeVar("Document", bound=StrictModel)
SCHEMA_VERSION: Final = 1


class ClassScore(StrictModel):
    """One class: scores in percent (None where undefined), pixel counts of the evaluated split."""

    id: int
    name: str
    group: Group
    iou: float | None
    acc: float | None
    tp: int
    fp: int
    fn: int
    fp_tp: float | None = Field(default=None, description="FP/TP: 1/IoU = 1/Acc + FP/TP; null where TP is 0.")
    pixel_frequency: int = Field(description="Pixels of the class in the training split.")
    region_frequency: int = Field(description="Training pictures that contain the class.")
    image_iou: float | None = Field(
        default=None, description="Mean of the IoUs in the single pictures whose truth has the class."
    )
    image_iou_worst5: float | None = Field(default=None, description="Of the worst 5 % of these pictures.")
    images: int | None = Field(default=None, description="Evaluated pictures whose truth has the class.")


class ConfusedPair(StrictModel):
    """Two classes that are taken for each other."""

    truth: str = Field(description="The class that the pixels have.")
    predicted: str = Field(description="The class that was predicted for them.")
    pixels: int
    share: float = Field(description="Of all pixels of the class, in percent.")


class Scores(OverallScores):
    """One evaluation mode. Percent; head, body, tail: mean IoU over groups by training pixel frequency."""

    pearson_pixel: float | None = Field(
        default=None, description="Correlation of class Acc with training pixels; null where undefined."
    )
    pearson_region: float | None = Field(
        default=None, description="Correlation of class Acc with training pictures that have the class."
    )
    images: int
    confused: tuple[ConfusedPair, ...] = Field(
        default=(), strict=False, description="The pairs mixed up most, by pixels."
    )
    classes: tuple[ClassScore, ...] = Field(strict=False)


class AttemptError(StrictModel):
    """Why an attempt ended without a result. `type` is the exception's class name."""

    type: str
    message: AnyText
    retryable: bool = False


class AttemptResult(StrictModel):
    """What a completed attempt measured."""

    evaluation: dict[str, Scores] = Field(description="By evaluation mode, e.g. single_scale.")
    iterations: int
    train_seconds: float = Field(description="Wall time in the training loop, this attempt.")
    eval_seconds: float
    parameters: int = Field(description="Of the deployed model: without the training branch.")
    checkpoint: str = Field(description="Deployable checkpoint, relative to the storage root.")
    training_images: int
    eval_images: int
    versions: dict[str, str]

    @property
    def scores(self) -> Scores | None:
        """Of the first evaluation mode: the one that lists show and sweeps rank by."""
        return next(iter(self.evaluation.values()), None)


class AttemptReport(StrictModel):
    """The end of one attempt."""

    schema_version: Literal[1] = SCHEMA_VERSION
    experiment: str
    attempt: int = Field(ge=1)
    state: Reported
    spec: ExperimentSpec
    result: AttemptResult | None = None
    error: AttemptError | None = None
    mlflow_run_id: str | None = None
    started_at: str = Field(description="ISO 8601, UTC.")
    ended_at: str
    timings: dict[str, float] = Field(
        default_factory=dict, description="Seconds of each part of the job, in the order they happened."
    )
    notices: tuple[Notice, ...] = Field(
        default=(), strict=False, description="What a reader of the numbers must know of this attempt."
    )

    @property
    def end(self) -> End:
        """How it ended: `state`, but for a trial that its sweep's scheduler stopped, as its error tells."""
        stopped = self.error is not None and self.error.type == StoppedEarly.__name__
        return End.STOPPED if stopped else End(self.state)


def write_report(report: AttemptReport, file: StoredFile) -> None:
    """Writes `report` as JSON, atomically: a report that exists is whole."""
    file.write(report.model_dump_json(indent=1) + "\n")


def read_report(file: StoredFile) -> AttemptReport | None:
    """The report in `file`, None where there is none yet; errors as in `read_whole`."""
    return read_whole(AttemptReport, file)


def read_whole(kind: type[Document], file: StoredFile) -> Document | None:
    """The document of this kind in `file`, None where there is none yet.

    Raises:
        ReportError: the file is there but is not a document of this schema.
    """
    try:
        text = file.read_text()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise ReportError(f"{file.name}: byte {error.start} is not UTF-8") from None
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise ReportError(
            f"{file.name}: {error.error_count()} fields do not fit: {error.errors()[0]['msg']}"
        ) from None
