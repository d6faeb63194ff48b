"""What can be asked of an experiment once it was trained: scored again, a picture labelled, taken away."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from trainer.base.errors import SpecError
from trainer.base.pointers import problems_of
from trainer.base.strict_model import StrictModel
from trainer.spec.checkpoints import FINAL, CheckpointName
from trainer.spec.checks import mode_problems, modes_problems
from trainer.spec.data.datasets import Dataset
from trainer.spec.evaluation import SINGLE_SCALE, AnyMode, Modes
from trainer.spec.resources import Resources

ClassName = Annotated[str, Field(min_length=1, max_length=200)]
ClassMap = Annotated[dict[ClassName, ClassName | None], Field(min_length=1, max_length=1000)]
Format = Literal["mmseg", "safetensors", "torch_export", "onnx", "mlflow"]
ExperimentId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$")]


class Disagreement(StrictModel):
    """Pictures on which two experiments disagree most, kept with the labels of both and the truth."""

    against: ExperimentId = Field(description="The other experiment; its `final` checkpoint.")
    pictures: int = Field(default=8, ge=1, le=100, description="So many are kept.")


class EvaluationRequest(StrictModel):
    """A checkpoint scored again."""

    kind: Literal["evaluation"] = "evaluation"
    modes: Modes = (SINGLE_SCALE,)
    dataset: Dataset | None = Field(
        default=None, description="Left out: the experiment's own; else one with the same classes."
    )
    class_map: ClassMap | None = Field(
        default=None,
        description="Where the data set's classes have other names: the experiment's class for each of "
        "them, null for those that are not scored.",
    )
    checkpoint: CheckpointName = FINAL
    disagreement: Disagreement | None = None
    resources: Resources | None = Field(default=None, description="Left out: as in training.")


class PredictionRequest(StrictModel):
    """A picture labelled."""

    kind: Literal["prediction"] = "prediction"
    mode: AnyMode = SINGLE_SCALE
    checkpoint: CheckpointName = FINAL


class ExportRequest(StrictModel):
    """A checkpoint in other programs' formats."""

    kind: Literal["export"] = "export"
    formats: Annotated[tuple[Format, ...], Field(strict=False)] = Field(min_length=1, max_length=5)
    checkpoint: CheckpointName = FINAL


AnyRequest = EvaluationRequest | PredictionRequest | ExportRequest
FollowupRequest = Annotated[AnyRequest, Field(discriminator="kind")]
FollowupKind = Literal["evaluation", "prediction", "export"]
_REQUEST: TypeAdapter[AnyRequest] = TypeAdapter(FollowupRequest)


def parse_followup(document: object) -> AnyRequest:
    """The request that a decoded JSON document describes.

    Raises:
        SpecError: with every problem found and the JSON pointer of each.
    """
    try:
        request = _REQUEST.validate_python(document)
    except ValidationError as error:
        raise SpecError(problems_of(error, document, _schema())) from None
    problems = []
    if isinstance(request, EvaluationRequest):
        problems = modes_problems(request.modes, "/modes")
    elif isinstance(request, PredictionRequest):
        problems = mode_problems(request.mode, "/mode")
    if problems:
        raise SpecError(tuple(problems))
    return request


def _schema() -> dict[str, Any]:
    return _REQUEST.json_schema()
