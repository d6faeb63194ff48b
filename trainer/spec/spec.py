"""ExperimentSpec: what a person asks for. Pure data, canonical JSON, and its hash."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator

from trainer.base.errors import Problem, SpecError
from trainer.base.pointers import problems_of
from trainer.base.strict_model import StrictModel
from trainer.base.text import hidden_letter
from trainer.spec.datasets import DATASETS, Dataset
from trainer.spec.methods import Method
from trainer.spec.models import RECIPES, Model

Share = Annotated[float, Field(gt=0, lt=1)]
SMALLEST_CROP = 16  # a side, in pixels
Side = Annotated[int, Field(ge=SMALLEST_CROP, le=2048)]
TagKey = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
_HIDDEN = r"\x00-\x1F\x7F-\x9F\u200B-\u200F\u2028-\u202E\u2060-\u206F\uFEFF"  # the best known of them


def _plain(text: str) -> str:
    letter = hidden_letter(text)
    if letter is not None:
        called = unicodedata.name(letter, "a control character").lower()
        raise ValueError(f"has U+{ord(letter):04X}, {called}")
    if text != text.strip():
        raise ValueError("begins or ends with a blank")
    return text


# A text that stands in lines and tables is Annotated[str, Field(max_length=…), PLAIN, PLAIN_WORDS].
PLAIN = AfterValidator(_plain)
PLAIN_WORDS = Field(
    json_schema_extra={
        "pattern": f"^[^{_HIDDEN}]*$",
        "x-words": "without control and invisible characters, nor a blank at an end",
    }
)
TagValue = Annotated[str, Field(max_length=500), PLAIN, PLAIN_WORDS]


def _all_optional(schema: dict[str, Any]) -> None:
    """What the recipe fills in need not be sent."""
    schema.pop("required", None)


class Schedule(StrictModel):
    """How the model is optimised. Fields left out come from the model's recipe for the data set."""

    model_config = ConfigDict(json_schema_extra=_all_optional)

    iterations: int = Field(ge=1, le=10_000_000)
    batch_size: int = Field(ge=1, le=65_536, description="Global: over all workers.")
    crop_size: Annotated[tuple[Side, Side], Field(strict=False)] = Field(description="[height, width]")
    optimizer: Literal["sgd", "adamw"]
    learning_rate: float = Field(gt=0, le=100)
    momentum: float = Field(ge=0, lt=1, description="SGD's momentum; AdamW's first beta.")
    weight_decay: float = Field(ge=0, le=10)
    warmup_iterations: int = Field(ge=0, description="Linear warm-up; then polynomial decay.")
    power: float = Field(ge=0, le=10, description="Exponent of the polynomial decay.")


class Resources(StrictModel):
    """What the job's workers take from the cluster."""

    workers: int = Field(default=1, ge=1, le=1024)
    gpus_per_worker: float = Field(default=0, ge=0, le=1, multiple_of=0.125)
    cpus_per_worker: int = Field(default=1, ge=1, le=256, description="Also torch's threads in a worker.")


class Evaluation(StrictModel):
    """How the trained model is scored."""

    modes: Annotated[tuple[Literal["single_scale"], ...], Field(strict=False)] = Field(
        default=("single_scale",), min_length=1, max_length=1
    )
    interval: int | None = Field(
        default=None, ge=1, description="Score every so many iterations as well; always at the end."
    )
    group_boundaries: Annotated[tuple[Share, Share], Field(strict=False)] | None = Field(
        default=None,
        description="Shares of the classes, most frequent first, at which head and body end; null: thirds.",
    )


def _schedule_optional(schema: dict[str, Any]) -> None:
    schema["required"] = [name for name in schema["required"] if name in ("dataset", "model", "method")]


class ExperimentSpec(StrictModel):
    """One training run and its evaluation. Only `dataset`, `model` and `method` must be given."""

    model_config = ConfigDict(json_schema_extra=_schedule_optional)

    name: Annotated[str, Field(max_length=200), PLAIN, PLAIN_WORDS] = ""
    dataset: Dataset
    model: Model
    method: Method
    schedule: Schedule
    resources: Resources = Resources()
    evaluation: Evaluation = Evaluation()
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    tags: dict[TagKey, TagValue] = Field(default_factory=dict, max_length=50)

    @model_validator(mode="before")
    @classmethod
    def _fill_schedule(cls, document: Any) -> Any:
        """Puts the recipe's schedule under the fields given.

        An unknown model gets some recipe's: it is refused anyway, and what was given is checked as well.
        """
        if not isinstance(document, dict):
            return document
        given = document.get("schedule", {})
        if not isinstance(given, dict):
            return document
        recipe = RECIPES.get(_name_of(document.get("model"))) or next(iter(RECIPES.values()))
        dataset_name = _name_of(document.get("dataset"))
        return {**document, "schedule": {**recipe.schedule_for(dataset_name), **given}}

    @model_validator(mode="after")
    def _name_itself(self) -> Self:
        if not self.name:
            object.__setattr__(self, "name", f"{self.method.kind} on {self.dataset.name}")
        return self


def _name_of(value: object) -> str:
    name = value.get("name") if isinstance(value, dict) else value
    return name if isinstance(name, str) else ""


def parse_spec(document: object) -> ExperimentSpec:
    """The spec a decoded JSON document describes, all defaults filled in.

    Raises:
        SpecError: with every problem found and the JSON pointer of each.
    """
    try:
        spec = ExperimentSpec.model_validate(document)
    except ValidationError as error:
        raise SpecError(problems_of(error, document, spec_schema())) from None
    problems = _cross_checks(spec)
    if problems:
        raise SpecError(problems)
    return spec


@cache
def spec_schema() -> dict[str, Any]:
    """JSON schema of the documents that `parse_spec` takes. Shared: do not change it."""
    return ExperimentSpec.model_json_schema()


def _cross_checks(spec: ExperimentSpec) -> tuple[Problem, ...]:
    problems = []
    workers, batch_size = spec.resources.workers, spec.schedule.batch_size
    if batch_size % workers:
        problems.append(
            Problem(
                "/schedule/batch_size",
                f"{batch_size} does not divide among {workers} workers",
                f"a multiple of /resources/workers ({workers})",
            )
        )
    shares = spec.evaluation.group_boundaries
    if shares is not None and shares[0] >= shares[1]:
        problems.append(
            Problem(
                "/evaluation/group_boundaries",
                f"{shares[0]} is not below {shares[1]}",
                "two shares above 0 and below 1, the first below the second",
            )
        )
    if not problems:  # how many pictures a worker gets is known
        problems += _norm_problems(spec)
    problems += _shared_gpu_problems(spec.resources)
    size = DATASETS[spec.dataset.name].picture_size
    if size is not None:
        problems += crop_problems(spec, size)
    return tuple(problems)


def _norm_problems(spec: ExperimentSpec) -> list[Problem]:
    """Batch norm cannot train on one value a channel. On GPUs all workers normalise together."""
    recipe, schedule, resources = RECIPES[spec.model.name], spec.schedule, spec.resources
    parts = 1 if resources.gpus_per_worker else resources.workers
    if recipe.norm_values(schedule.crop_size, schedule.batch_size // parts) > 1:
        return []
    height, width = schedule.crop_size
    one = "1 picture" if resources.workers == 1 else "1 picture a worker"
    got = f"{one} of {height}×{width} gives batch norm in {spec.model.name} one value a channel"
    more = f">= {2 * parts}"
    if recipe.norm_stride is None:
        return [Problem("/schedule/batch_size", got, more)]
    larger = f"a height or width >= {recipe.norm_stride + 1}"
    return [
        Problem("/schedule/batch_size", got, f"{more}, or {larger} in /schedule/crop_size"),
        Problem("/schedule/crop_size", got, f"{larger}, or /schedule/batch_size {more}"),
    ]


def _shared_gpu_problems(resources: Resources) -> list[Problem]:
    """Workers that train together cannot share a GPU: NCCL refuses two ranks on one."""
    share, workers = resources.gpus_per_worker, resources.workers
    if workers == 1 or share in (0, 1):
        return []
    got = f"{workers} workers cannot have {share:g} of a GPU each: NCCL refuses two of them on one GPU"
    return [
        Problem("/resources/workers", got, "1, or /resources/gpus_per_worker 0 or 1"),
        Problem("/resources/gpus_per_worker", got, "0 or 1, or /resources/workers 1"),
    ]


def crop_problems(spec: ExperimentSpec, picture_size: tuple[int, int]) -> list[Problem]:
    """A crop must fit the pictures, all of one `picture_size` = (height, width) after scaling."""
    crop, scale = spec.schedule.crop_size, getattr(spec.dataset, "scale", 1)
    if min(picture_size) < SMALLEST_CROP:
        height, width = picture_size
        after = f" at scale {scale:g}" if scale != 1 else ""
        wanted = f"pictures of at least {SMALLEST_CROP}×{SMALLEST_CROP} pixels{after and ' after scaling'}"
        where = "/dataset/scale" if scale != 1 else "/dataset"
        return [Problem(where, f"every picture is {height}×{width}{after}: no crop fits", wanted)]
    return [
        Problem(
            f"/schedule/crop_size/{axis}",
            f"{crop[axis]} is above the {side} of every picture, {picture_size[axis]}",
            f"{SMALLEST_CROP} to {picture_size[axis]}",
        )
        for axis, side in enumerate(("height", "width"))
        if crop[axis] > picture_size[axis]
    ]


def canonical_json(spec: ExperimentSpec) -> str:
    """The spec as JSON with sorted keys and no blanks: equal specs give equal text."""
    return json.dumps(spec.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def spec_hash(spec: ExperimentSpec) -> str:
    """SHA-256 of the canonical JSON, 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(spec).encode()).hexdigest()
