"""What can be asked of an experiment once it was trained: scored again, a picture labelled, taken away."""

from __future__ import annotations

from typing import Annotated, Any, Literal, assert_never

from pydantic import Field, TypeAdapter, ValidationError

from trainer.base.errors import Problem, SpecError
from trainer.base.pointers import problems_of
from trainer.base.strict_model import StrictModel
from trainer.spec.augmentation import NATIVE
from trainer.spec.checkpoints import FINAL, CheckpointName
from trainer.spec.checks import ids_problems, mode_problems, modes_problems, shared_gpu_problems
from trainer.spec.data.datasets import Dataset
from trainer.spec.evaluation import SINGLE_SCALE, AnyMode, Modes
from trainer.spec.model_checks import views_problems
from trainer.spec.resources import Resources
from trainer.spec.spec import ExperimentSpec

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
    problems = _problems(request)
    if problems:
        raise SpecError(tuple(problems))
    return request


def problems_for(request: AnyRequest, spec: ExperimentSpec) -> list[Problem]:
    """Why the request cannot be meant of the experiment that has this spec."""
    match request:
        case EvaluationRequest():
            problems = _scale_problems(request.dataset, spec)
            for number, mode in enumerate(request.modes):
                problems += views_problems(spec.model, spec.schedule, mode, f"/modes/{number}")
            return problems
        case PredictionRequest():
            return views_problems(spec.model, spec.schedule, request.mode, "/mode")
        case ExportRequest():
            return []
        case never:
            assert_never(never)


def _problems(request: AnyRequest) -> list[Problem]:
    """What its fields ask of each other, whatever the experiment."""
    match request:
        case EvaluationRequest():
            problems = modes_problems(request.modes, "/modes")
            if request.dataset is not None:
                problems += ids_problems(request.dataset)
            elif request.class_map is not None:
                got = "is given for the experiment's own data set"
                problems.append(Problem("/class_map", got, "with /dataset: another data set's classes"))
            return [*problems, *(shared_gpu_problems(request.resources) if request.resources else ())]
        case PredictionRequest():
            return mode_problems(request.mode, "/mode")
        case ExportRequest():
            twice = len(set(request.formats)) < len(request.formats)
            return [Problem("/formats", "names a format twice", "each format once")] if twice else []
        case never:
            assert_never(never)


def _scale_problems(dataset: Dataset | None, spec: ExperimentSpec) -> list[Problem]:
    """Another data set's `scale` says nothing where the experiment resizes whatever it scores to one size."""
    scale, size = getattr(dataset, "scale", 1.0), spec.augmentation.test_size
    if scale == 1 or size == NATIVE:
        return []
    got = f"{scale:g} changes nothing: the experiment's /augmentation/test_size is {list(size)}"
    return [Problem("/dataset/scale", got, "1")]


def _schema() -> dict[str, Any]:
    return _REQUEST.json_schema()


def resources_of(request: AnyRequest, trained: Resources) -> Resources:
    """As asked for, else as in training; what concerns a few pictures is done by one worker."""
    if isinstance(request, EvaluationRequest):
        return request.resources or trained
    return trained.model_copy(update={"workers": 1})
