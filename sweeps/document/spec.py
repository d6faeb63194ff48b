"""SweepSpec: a base experiment and what is varied around it. Pure data; `expand.py` makes the trials."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from functools import cache, cached_property
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, JsonValue, ValidationError

from sweeps.document.growth import Growth
from sweeps.document.json_fields import KINDS, UNVARIED, identity, is_range, number_text, overlap, texts
from trainer.base.errors import Problem, SpecError
from trainer.base.pointers import excerpt, problems_of
from trainer.base.strict_model import StrictModel
from trainer.spec.defaults import cpu_problems
from trainer.spec.evaluation import ScoreName
from trainer.spec.methods import Method
from trainer.spec.recipes import RECIPE, VARIANT, Machines
from trainer.spec.resources import Scheduling
from trainer.spec.spec import PLAIN, PLAIN_WORDS, ExperimentSpec, TagKey, TagValue

MAX_TRIALS = 10_000
_SCHEDULED = ("/schedule/iterations", "/evaluation/interval")  # a scheduler takes the base's for all trials
WAYS = ("grid", "choice", "uniform", "loguniform")  # to say which values an axis takes
_FORM = {"x-words": "that begins with /, as /method/lambda does"}
Pointer = Annotated[
    str, Field(pattern=r"^(/([^/~]|~[01])+)+$", max_length=200, json_schema_extra=_FORM), PLAIN
]
VariantName = Annotated[str, Field(min_length=1, max_length=100), PLAIN, PLAIN_WORDS]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
Values = Annotated[tuple[JsonValue, ...], Field(strict=False, min_length=1, max_length=MAX_TRIALS)]
Range = Annotated[tuple[float, float], Field(strict=False)]


class Axis(StrictModel):
    """A field of the base in which trials differ, and its values: one of `grid`, `choice`, and the ranges."""

    pointer: Pointer = Field(description="JSON pointer into the base, its defaults filled in.")
    grid: Values | None = Field(default=None, description="Each of these, crossed with all other grids.")
    choice: Values | None = Field(default=None, description="One of these, drawn for each trial.")
    uniform: Range | None = Field(default=None, description="[low, high], drawn for each trial.")
    loguniform: Range | None = Field(default=None, description="The same, uniform in the logarithm.")

    @property
    def given(self) -> list[str]:
        """Which of `WAYS` are there: exactly one, once the sweep was checked."""
        return [way for way in WAYS if getattr(self, way) is not None]

    @property
    def values(self) -> tuple[JsonValue, ...]:
        """What is listed, or both ends of the range."""
        return self.grid or self.choice or self.uniform or self.loguniform or ()

    def place(self, value: JsonValue) -> int | None:
        """Where `value` is in `values`; None inside a range."""
        return self._places.get(identity(value))

    def text(self, value: JsonValue) -> str:
        """How a value is written in a row's name: no other value of the axis reads the same."""
        if isinstance(value, float) and not self.grid and not self.choice:
            return number_text(value)
        place = self.place(value)
        assert place is not None
        return self._texts[place]

    @cached_property
    def _places(self) -> dict[Hashable, int]:
        return {identity(value): place for place, value in enumerate(self.values)}

    @cached_property
    def _texts(self) -> list[str]:
        return texts(self.values)


class NoScheduler(StrictModel):
    """Every trial runs to its end."""

    kind: Literal["none"] = "none"


class Asha(StrictModel):
    """Asynchronous successive halving (Li et al. 2020): at each rung the worse trials stop."""

    kind: Literal["asha"] = "asha"
    grace_iterations: int | None = Field(
        default=None, ge=1, description="No trial stops before; null: the first evaluation."
    )
    reduction_factor: int = Field(default=4, ge=2, le=100, description="One of so many goes on.")


def _from_kind(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


AnyScheduler = Annotated[NoScheduler | Asha, Field(discriminator="kind")]
Scheduler = Annotated[
    AnyScheduler,
    BeforeValidator(_from_kind, json_schema_input_type=Literal["none", "asha"] | AnyScheduler),
]


class Limits(StrictModel):
    """What a sweep may take. `trials` is the number of draws with `random` and `optuna`, without seeds."""

    concurrent_trials: int | None = Field(default=None, ge=1, le=1000, description="null: what fits.")
    trials: int | None = Field(default=None, ge=1, le=MAX_TRIALS)
    seconds: float | None = Field(default=None, gt=0, description="After it no trial is started.")
    gpu_hours: float | None = Field(default=None, gt=0, description="Likewise.")


class SweepSpec(StrictModel):
    """Trials around one experiment: variants × axes × seeds. Only `base` must be given."""

    name: Annotated[str, Field(max_length=200), PLAIN, PLAIN_WORDS] = ""
    base: ExperimentSpec
    variants: dict[VariantName, Method] = Field(
        default_factory=dict, max_length=1000, description="Whole methods by the name their row shall have."
    )
    axes: Annotated[tuple[Axis, ...], Field(strict=False)] = Field(default=(), max_length=20)
    seeds: Annotated[tuple[Seed, ...], Field(strict=False)] | None = Field(
        default=None, min_length=1, max_length=1000, description="null: the base's."
    )
    metric: ScoreName = Field(
        default="mIoU", description="What trials are ranked by, at their last evaluation."
    )
    direction: Literal["max", "min"] = "max"
    search: Literal["grid", "random", "optuna"] = "grid"
    search_seed: int = Field(default=0, ge=0, le=2**31 - 1, description="Of what is drawn.")
    scheduler: Scheduler = NoScheduler()
    limits: Limits = Limits()
    scheduling: Scheduling = Field(
        default=Scheduling(),
        exclude_if=lambda value: value == Scheduling(),
        description="Of the sweep as a whole; it begins where there is room for one trial.",
    )
    tags: dict[TagKey, TagValue] = Field(default_factory=dict, max_length=50)
    grown: Annotated[tuple[Growth, ...], Field(strict=False)] = Field(
        default=(),
        exclude_if=lambda value: not value,
        description="Its sizes before each extension; written by `extend` alone.",
    )


@cache
def sweep_schema() -> dict[str, Any]:
    """JSON schema of the documents that `parse_sweep` takes. Shared: do not change it."""
    return SweepSpec.model_json_schema()


def parse_sweep(document: object, machines: Machines | None = None) -> SweepSpec:
    """The sweep a decoded JSON document describes, all defaults filled in; its trials are not looked at.

    Args:
        machines: what the cluster has, for a base with a recipe that says nothing of resources.

    Raises:
        SpecError: with every problem found and the JSON pointer of each.
    """
    try:
        sweep = SweepSpec.model_validate(document, context={"machines": machines})
    except ValidationError as error:
        raise SpecError(problems_of(error, document, sweep_schema())) from None
    base = document.get("base") if isinstance(document, dict) else None
    problems = [
        *(replace(each, pointer=f"/base{each.pointer}") for each in cpu_problems(base, machines)),
        *_scheduling_problems(sweep),
        *_axis_problems(sweep),
        *_clashes(sweep),
        *_repeated(sweep.seeds or (), "/seeds", "each seed once"),
        *_search_problems(sweep),
        *_scheduler_problems(sweep),
    ]
    if problems:
        raise SpecError(tuple(problems))
    return sweep


def _scheduling_problems(sweep: SweepSpec) -> list[Problem]:
    """Trials run inside their sweep: what is said of them by themselves would be without effect."""
    if sweep.base.scheduling == Scheduling():
        return []
    return [Problem("/base/scheduling", "is for experiments by themselves", "/scheduling of the sweep")]


def _axis_problems(sweep: SweepSpec) -> list[Problem]:
    problems = []
    for number, axis in enumerate(sweep.axes):
        here = f"/axes/{number}"
        problems += _pointer_problems(sweep, axis.pointer, f"{here}/pointer")
        given = axis.given
        if len(given) != 1:
            got = f"has {' and '.join(given)}" if given else "gives no values"
            problems.append(Problem(here, got, f"exactly one of {', '.join(WAYS)}"))
            continue
        wrong = _value_problems(axis, f"{here}/{given[0]}") or _no_recipe(axis, f"{here}/{given[0]}")
        problems += wrong
        if sweep.search == "grid" and given != ["grid"] and not wrong:
            wanted = "grid, or /search random or optuna, which draw values"
            problems.append(Problem(f"{here}/{given[0]}", "cannot be crossed in a grid search", wanted))
    return problems


def _pointer_problems(sweep: SweepSpec, pointer: str, here: str) -> list[Problem]:
    if pointer in (RECIPE, VARIANT) and sweep.base.recipe is None:
        return [Problem(here, "the base names no recipe that it could vary", "a /base/recipe as well")]
    instead = next((words for field, words in UNVARIED.items() if overlap(pointer, field)), None)
    instead = instead or KINDS.get(pointer)
    if instead is not None:
        return [Problem(here, f"{pointer} cannot be varied by an axis", instead)]
    if sweep.scheduler.kind != "none" and any(overlap(pointer, field) for field in _SCHEDULED):
        got = f"{pointer} cannot vary: {sweep.scheduler.kind} judges all trials at the same iterations"
        return [Problem(here, got, "other fields, or /scheduler none")]
    return []


def _no_recipe(axis: Axis, here: str) -> list[Problem]:
    """A row without a recipe would be the base's recipe under another name."""
    if axis.pointer != RECIPE or None not in axis.values:
        return []
    place = axis.values.index(None)
    return [Problem(f"{here}/{place}", "null names no recipe", "a name that `rebalance recipes` lists")]


def _value_problems(axis: Axis, here: str) -> list[Problem]:
    bounds = axis.uniform or axis.loguniform
    if bounds is not None:
        low, high = bounds
        if low >= high:
            return [Problem(here, f"{low} is not below {high}", "[low, high] with low < high")]
        if axis.loguniform and low <= 0:
            return [Problem(f"{here}/0", f"{low} has no logarithm", "> 0")]
        if not is_range(low, high):
            wanted = "[low, high], neither nearly equal nor infinitely far apart"
            return [Problem(here, f"numbers cannot be drawn between {low} and {high}", wanted)]
        return []
    return _repeated(axis.values, here, "each value once")


def _repeated(values: Sequence[JsonValue], here: str, wanted: str) -> list[Problem]:
    first: dict[Hashable, int] = {}
    for place, value in enumerate(values):
        earlier = first.setdefault(identity(value), place)
        if earlier != place:
            got = f"{excerpt(value)} is listed twice, as {excerpt(values[earlier])} at {here}/{earlier}"
            return [Problem(f"{here}/{place}", got, wanted)]
    return []


def _clashes(sweep: SweepSpec) -> list[Problem]:
    """Two ways to set one field: two axes, or an axis of whole methods beside `variants`."""
    problems, taken = [], {}
    if sweep.variants:
        taken["/method"] = "/variants"
    for number, axis in enumerate(sweep.axes):
        here = f"/axes/{number}/pointer"
        for pointer, owner in taken.items():
            parameter_of_variants = owner == "/variants" and axis.pointer != pointer
            if overlap(axis.pointer, pointer) and not parameter_of_variants:
                problems.append(
                    Problem(here, f"{axis.pointer} is set by {owner} too", "one way for each field")
                )
        taken[axis.pointer] = here
    return problems


def _search_problems(sweep: SweepSpec) -> list[Problem]:
    problems = []
    drawn = any(axis.grid is None for axis in sweep.axes)
    if sweep.search != "grid" and not drawn:
        wanted = "grid, or an axis with choice, uniform or loguniform"
        problems.append(Problem("/search", f"{sweep.search} has nothing to draw", wanted))
    if sweep.search != "grid" and sweep.limits.trials is None:
        problems.append(
            Problem("/limits/trials", "is missing", f"how often {sweep.search} draws, 1 to {MAX_TRIALS}")
        )
    return problems


def _scheduler_problems(sweep: SweepSpec) -> list[Problem]:
    """A scheduler needs evaluations before the end, at which trials may be stopped."""
    scheduler, iterations = sweep.scheduler, sweep.base.schedule.iterations
    interval = sweep.base.evaluation_interval
    if scheduler.kind == "none":
        return []
    if interval >= iterations:
        given = sweep.base.evaluation.interval or "null"
        got = f"is {given}, and {scheduler.kind} judges trials while they run"
        wanted = f"iterations between evaluations, >= 1 and below the trials' {iterations}"
        return [Problem("/base/evaluation/interval", got, wanted)]
    grace = scheduler.grace_iterations
    if grace is not None and grace >= iterations:
        wanted = f"below the trials' {iterations} iterations, or null"
        return [Problem("/scheduler/grace_iterations", f"with {grace} no trial is ever stopped", wanted)]
    return []
