"""ExperimentSpec: what a person asks for. Pure data, canonical JSON, and its hash."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from functools import cache
from typing import Annotated, Any, Self

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, ValidationInfo, model_validator

from trainer.base.errors import Problem, SpecError
from trainer.base.pointers import problems_of
from trainer.base.strict_model import StrictModel
from trainer.base.text import hidden_letter
from trainer.spec.augmentation import Augmentation
from trainer.spec.checkpoints import Checkpoints, checkpoint_problems
from trainer.spec.checks import (
    accumulation_problems,
    batch_problems,
    dataset_problems,
    fitting_problems,
    optimizer_problems,
    shared_gpu_problems,
    variant_problems,
)
from trainer.spec.data.datasets import DATASETS, Dataset, usual_augmentation
from trainer.spec.defaults import cpu_problems, filled
from trainer.spec.evaluation import WHOLE, Evaluation, usual_interval
from trainer.spec.longer.continues import Continues
from trainer.spec.methods import Method
from trainer.spec.model_checks import fit_problems
from trainer.spec.models import Model
from trainer.spec.recipes import Machines, Variant, known_recipe
from trainer.spec.resources import Resources, Scheduling
from trainer.spec.schedule import Schedule

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
RecipeName = Annotated[
    str,
    Field(
        max_length=100,
        pattern="^[a-z0-9_/]+$",
        json_schema_extra={"x-words": "such as table3/deeplabv3plus_r50: `rebalance recipes` lists them"},
    ),
    AfterValidator(known_recipe),
]
WeightsName = Annotated[
    str,
    Field(
        max_length=100,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$",
        json_schema_extra={"x-words": "such as pretrained, none, or a name of `rebalance weights list`"},
    ),
]


def _only_method_required(schema: dict[str, Any]) -> None:
    schema["required"] = ["method"]  # the rest comes from a recipe, or is asked for in words


class ExperimentSpec(StrictModel):
    """One training run and its evaluation; `dataset` and `model` must be given where no recipe is."""

    model_config = ConfigDict(json_schema_extra=_only_method_required)

    name: Annotated[str, Field(max_length=200), PLAIN, PLAIN_WORDS] = ""
    recipe: RecipeName | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="A row of the paper: see `rebalance recipes`. What is left out comes from it.",
    )
    variant: Variant = Field(
        default="paper",
        exclude_if=lambda value: value == "paper",
        description="Of the recipe: as the paper's text says, or as mmsegmentation's file does.",
    )
    dataset: Dataset
    model: Model
    weights: WeightsName = Field(
        default="none",
        description="What the backbone begins with: `pretrained`, the weights of the model's published "
        "training; `none`, random ones; or a name of `rebalance weights list`. Left out: `pretrained` where "
        "there are some.",
    )
    method: Method
    schedule: Schedule
    augmentation: Augmentation
    resources: Resources = Resources()
    evaluation: Evaluation = Evaluation()
    checkpoints: Checkpoints = Field(default=Checkpoints(), exclude_if=lambda value: value == Checkpoints())
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    scheduling: Scheduling = Field(default=Scheduling(), exclude_if=lambda value: value == Scheduling())
    continues: Continues | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="Of a training that goes on from another's checkpoint; written by `extend` alone.",
    )
    tags: dict[TagKey, TagValue] = Field(default_factory=dict, max_length=50)

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, document: Any, info: ValidationInfo) -> Any:
        """Puts what is decided elsewhere under the fields given; the context has the cluster's `machines`."""
        machines = (info.context or {}).get("machines")
        return filled(document, machines) if isinstance(document, dict) else document

    @model_validator(mode="after")
    def _name_itself(self) -> Self:
        if not self.name:
            what = self.dataset.name if self.recipe is None else self.recipe
            object.__setattr__(self, "name", f"{self.method.kind} on {what}")
        return self

    @property
    def evaluation_interval(self) -> int:
        """Iterations between evaluations: what the spec says, else what is usual for a training so long."""
        return self.evaluation.interval or usual_interval(self.schedule.iterations)


def parse_spec(document: object, machines: Machines | None = None) -> ExperimentSpec:
    """The spec a decoded JSON document describes, all defaults filled in.

    Args:
        machines: what the cluster has, for recipes that say nothing of resources.

    Raises:
        SpecError: with every problem found and the JSON pointer of each.
    """
    try:
        spec = ExperimentSpec.model_validate(document, context={"machines": machines})
    except ValidationError as error:
        raise SpecError(problems_of(error, document, spec_schema())) from None
    problems = (*cpu_problems(document, machines), *_cross_checks(spec))
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
    problems += variant_problems(spec.recipe, spec.variant)
    problems += fit_problems(
        spec.model, spec.schedule, spec.resources, spec.evaluation, norms=not problems
    )  # how many pictures a worker gets is known
    problems += shared_gpu_problems(spec.resources)
    problems += optimizer_problems(spec.schedule, spec.resources)
    problems += accumulation_problems(spec.schedule, spec.method)
    problems += checkpoint_problems(spec.checkpoints)
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
    # What names a training without changing it, and later words at their defaults.
    for name in ("recipe", "variant", "checkpoints", "scheduling"):
        document.pop(name, None)
    if spec.weights == "none":
        del document["weights"]
    if spec.evaluation.inference == WHOLE:
        del document["evaluation"]["inference"]
    if spec.augmentation == Augmentation(**usual_augmentation(spec.dataset.name)):
        del document["augmentation"]
    return hashlib.sha256(_compact(document).encode()).hexdigest()


def _compact(document: object) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
