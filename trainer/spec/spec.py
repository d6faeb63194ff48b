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
from trainer.spec.augmentation import Augmentation
from trainer.spec.checks import (
    accumulation_problems,
    batch_problems,
    dataset_problems,
    fitting_problems,
    norm_problems,
    optimizer_problems,
    shared_gpu_problems,
)
from trainer.spec.datasets import DATASETS, Dataset, usual_augmentation
from trainer.spec.methods import Method
from trainer.spec.models import RECIPES, Model
from trainer.spec.resources import Resources
from trainer.spec.schedule import Schedule

Mode = Literal["single_scale"]
SINGLE_SCALE: Mode = "single_scale"
Share = Annotated[float, Field(gt=0, lt=1)]
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


class Evaluation(StrictModel):
    """How the trained model is scored."""

    modes: Annotated[tuple[Mode, ...], Field(strict=False)] = Field(
        default=(SINGLE_SCALE,), min_length=1, max_length=1
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
    augmentation: Augmentation
    resources: Resources = Resources()
    evaluation: Evaluation = Evaluation()
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    tags: dict[TagKey, TagValue] = Field(default_factory=dict, max_length=50)

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, document: Any) -> Any:
        """Puts the recipe's schedule and the data set's augmentation under the fields given.

        An unknown model gets some recipe's: it is refused anyway, and what was given is checked as well.
        """
        if not isinstance(document, dict):
            return document
        recipe = RECIPES.get(_name_of(document.get("model"))) or next(iter(RECIPES.values()))
        dataset_name = _name_of(document.get("dataset"))
        usual = {
            "schedule": recipe.schedule_for(dataset_name),
            "augmentation": usual_augmentation(dataset_name),
        }
        filled = dict(document)
        for name, under in usual.items():
            given = document.get(name, {})
            if isinstance(given, dict):
                filled[name] = {**under, **given}
        return filled

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
    shares = spec.evaluation.group_boundaries
    problems = batch_problems(spec.schedule, spec.resources)
    if shares is not None and shares[0] >= shares[1]:
        problems.append(
            Problem(
                "/evaluation/group_boundaries",
                f"{shares[0]} is not below {shares[1]}",
                "two shares above 0 and below 1, the first below the second",
            )
        )
    problems += dataset_problems(spec.dataset, spec.augmentation)
    if not problems:  # how many pictures a worker gets is known
        problems += norm_problems(RECIPES[spec.model.name], spec.model.name, spec.schedule, spec.resources)
    problems += shared_gpu_problems(spec.resources)
    problems += optimizer_problems(spec.schedule, spec.resources, spec.model.name)
    problems += accumulation_problems(spec.schedule, spec.method)
    size = DATASETS[spec.dataset.name].picture_size
    if size is not None:
        problems += crop_problems(spec, size)
    return tuple(problems)


def crop_problems(spec: ExperimentSpec, picture_size: tuple[int, int]) -> list[Problem]:
    """A crop must fit the pictures, all of one `picture_size` = (height, width) after scaling."""
    scale = getattr(spec.dataset, "scale", 1)
    return fitting_problems(spec.schedule.crop_size, spec.augmentation.resize_base, picture_size, scale)


def canonical_json(spec: ExperimentSpec) -> str:
    """The whole spec as JSON with sorted keys and no blanks: equal specs give equal text."""
    return _compact(spec.model_dump(mode="json"))


def spec_hash(spec: ExperimentSpec) -> str:
    """SHA-256 of the canonical JSON without later words at their defaults, 64 hexadecimal digits.

    So specs keep their hash, and their checkpoints, when a word is added whose default changes nothing.
    """
    document = spec.model_dump(mode="json")
    defaults = {name: one.default for name, one in Schedule.model_fields.items() if not one.is_required()}
    document["schedule"] = {
        name: value
        for name, value in document["schedule"].items()
        if name not in defaults or getattr(spec.schedule, name) != defaults[name]
    }
    if spec.augmentation == Augmentation(**usual_augmentation(spec.dataset.name)):
        del document["augmentation"]
    return hashlib.sha256(_compact(document).encode()).hexdigest()


def _compact(document: object) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
