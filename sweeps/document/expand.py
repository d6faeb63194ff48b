"""A sweep's trials, as ordinary experiments: variants × axes × seeds, in a fixed order."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from sweeps.document.json_fields import identity, label, list_of, neighbours, put, rounded, within
from sweeps.document.rebase import rebased
from sweeps.document.spec import MAX_TRIALS, Axis, SweepSpec
from sweeps.document.stages import before, seeds_of
from trainer.base.errors import Problem, SpecError
from trainer.base.pointers import excerpt
from trainer.spec import methods
from trainer.spec.recipes import RECIPE, VARIANT
from trainer.spec.spec import ExperimentSpec, parse_spec

Settings = Mapping[str, JsonValue]  # axis pointer -> value
_MOST_TOLD = 50  # problems of one sweep
_FEW = 1000  # combinations of which all are checked, also those that a search may never draw


@dataclass(frozen=True)
class Trial:
    """One experiment of a sweep. Trials of one `row` differ in their seed alone."""

    number: int  # from 0, in the order they are started
    row: str  # the variant's name, or the method, and the axes' values
    variant: str | None
    settings: Settings
    spec: ExperimentSpec

    @property
    def name(self) -> str:
        """For example `rr, lambda=0.1, seed 3`."""
        return f"{self.row}, seed {self.spec.seed}"


def count_trials(sweep: SweepSpec) -> int:
    """How many trials `sweep` has, without making them; with `optuna` the number it may draw, times seeds."""
    grids = math.prod(len(axis.grid) for axis in sweep.axes if axis.grid is not None)
    return grids * num_draws(sweep) * max(1, len(sweep.variants)) * len(sweep.seeds or (0,))


def num_draws(sweep: SweepSpec) -> int:
    """How many settings are drawn for each variant and grid point: all different, at most all there are."""
    if sweep.search == "grid":
        return 1
    drawn = [axis for axis in sweep.axes if axis.grid is None]
    finite = all(axis.choice is not None for axis in drawn)
    asked = sweep.limits.trials or 1
    return min(asked, math.prod(len(axis.values) for axis in drawn)) if finite else asked


def expand(sweep: SweepSpec) -> tuple[Trial, ...]:
    """The trials of a grid or random search; seeds vary slowest, so that whole tables come early. Of one that
    was extended those come first that it had before, with their numbers.

    Raises:
        SpecError: too many trials (with their number), a pointer to a field that does not exist, or a value
            that the experiment's spec refuses, also one that a search might draw and has not; problems name
            the trial and the place in the sweep.
    """
    _check_size(sweep)
    if sweep.search != "grid":
        _check_search(sweep)
    trials: list[Trial] = []
    problems: list[Problem] = []
    last: int | None = None
    for number, (seed, variant, settings) in enumerate(_combinations(sweep)):
        if seed != last:
            refuse(problems)  # another seed would only repeat them
        made = make_trial(sweep, number, variant, settings, seed)
        if isinstance(made, Trial):
            trials.append(made)
        else:
            problems += made
        last = seed
    refuse(problems)
    return tuple(trials)


def _combinations(sweep: SweepSpec) -> list[tuple[int, str | None, Settings]]:
    """(seed, variant, settings) of each trial, in the order of their numbers."""
    points = list(_points(sweep))
    whole = [(seed, variant, settings) for seed in seeds_of(sweep) for variant, settings in points]
    if not sweep.grown:
        return whole
    first = _combinations(before(sweep))
    had = {_key(each) for each in first}
    return [*first, *(each for each in whole if _key(each) not in had)]


def _key(combination: tuple[int, str | None, Settings]) -> Hashable:
    seed, variant, settings = combination
    return identity([seed, variant, dict(settings)])


def refuse(problems: Iterable[Problem]) -> None:
    """Raises a SpecError if there are any: each mistake once, of very many the first ones."""
    found: dict[tuple[str, str], Problem] = {}
    for problem in problems:
        found.setdefault((problem.pointer, problem.allowed), problem)
    first = tuple(found.values())[:_MOST_TOLD]
    if len(found) > len(first):
        first = (*first, Problem("", f"{len(found) - len(first)} more problems", "a sweep with none"))
    if first:
        raise SpecError(first)


def make_trial(
    sweep: SweepSpec, number: int, variant: str | None, settings: Settings, seed: int
) -> Trial | tuple[Problem, ...]:
    """One trial, or what is wrong with it, in pointers into the sweep's document."""
    row = _row(sweep, variant, settings)
    spec = _make_spec(sweep, f"trial {number} ({row})", variant, settings, seed)
    if not isinstance(spec, ExperimentSpec):
        return spec
    row = row or methods.label(spec.method)
    end = f", seed {seed}"
    spec = spec.model_copy(update={"name": f"{row[: 200 - len(end)]}{end}"})
    return Trial(number, row, variant, settings, spec)


def _make_spec(
    sweep: SweepSpec, called: str, variant: str | None, settings: Settings, seed: int
) -> ExperimentSpec | tuple[Problem, ...]:
    """The spec of a trial, which problems call `called`, still without its name."""
    document: dict[str, Any] = sweep.base.model_dump(mode="json")
    by_recipe = {RECIPE, VARIANT} & settings.keys() if sweep.base.recipe is not None else set()
    if by_recipe:
        recipe = settings.get(RECIPE, sweep.base.recipe)
        document = rebased(document, recipe, settings.get(VARIANT, sweep.base.variant))
    if variant is not None:
        document["method"] = sweep.variants[variant].model_dump(mode="json")
    document |= {"seed": seed, "name": "", "tags": {**document["tags"], **sweep.tags}}
    missing = [
        Problem(
            f"/axes/{place}/pointer",
            f"{axis.pointer} is not a field of the experiment" + (f" with {variant}" if variant else ""),
            neighbours(document, axis.pointer),
        )
        for place, axis in enumerate(sweep.axes)
        if axis.pointer not in by_recipe and not put(document, axis.pointer, settings[axis.pointer])
    ]
    if missing:
        return tuple(missing)
    try:
        return parse_spec(document)
    except SpecError as error:
        return tuple(told(sweep, called, settings, problem) for problem in error.problems)


def _check_size(sweep: SweepSpec) -> None:
    total = count_trials(sweep)
    if total > MAX_TRIALS:
        raise SpecError((Problem("", f"{total} trials: {_factors(sweep)}", f"at most {MAX_TRIALS}"),))
    most = sweep.limits.trials
    if sweep.search == "grid" and most is not None and total > most:
        raise SpecError(
            (Problem("/limits/trials", f"{most} is below the grid's {total} trials", f">= {total}"),)
        )


def _factors(sweep: SweepSpec) -> str:
    """What the number of trials is a product of: `101 values of lambda × 100 seeds`."""
    pointers = [axis.pointer for axis in sweep.axes]
    told = {"variants": len(sweep.variants)}
    told |= {f"values of {label(axis.pointer, pointers)}": len(axis.grid or ()) for axis in sweep.axes}
    told |= {"draws": num_draws(sweep), "seeds": len(sweep.seeds or ())}
    return " × ".join(f"{number} {what}" for what, number in told.items() if number > 1)


def _check_search(sweep: SweepSpec) -> None:
    """Refuses what a search might draw and the spec does not take: it would end the sweep in the middle."""
    problems: list[Problem] = []
    for variant, settings in itertools.islice(_possible(sweep), MAX_TRIALS):
        called = f"a trial with {_row(sweep, variant, settings)}"
        made = _make_spec(sweep, called, variant, settings, sweep.base.seed)
        problems += () if isinstance(made, ExperimentSpec) else made
    refuse(problems)


def _possible(sweep: SweepSpec) -> Iterator[tuple[str | None, Settings]]:
    """All combinations of listed values and ends of ranges; of more than a few, some that have each value."""
    variants: Sequence[str | None] = list(sweep.variants) or [None]
    values = [axis.values for axis in sweep.axes]
    combined: Iterable[Sequence[JsonValue]] = itertools.product(*values)
    if len(variants) * math.prod(map(len, values)) > _FEW:
        longest = max(map(len, values))
        combined = [[some[place % len(some)] for some in values] for place in range(longest)]
    for some in combined:
        for variant in variants:
            yield variant, dict(zip((axis.pointer for axis in sweep.axes), some, strict=True))


def _points(sweep: SweepSpec) -> Iterator[tuple[str | None, Settings]]:
    """Every variant with every combination of values; all variants meet the same draws."""
    draws = _draws(sweep)
    for variant, fixed in points_of(sweep):
        for some in draws:
            found = {**fixed, **some}
            yield variant, {axis.pointer: found[axis.pointer] for axis in sweep.axes}


def _draws(sweep: SweepSpec) -> list[Settings]:
    """What is drawn, each setting once: a repeated one would be the same trial again."""
    drawn = [axis for axis in sweep.axes if axis.grid is None]
    stream = random.Random(sweep.search_seed)
    found: dict[Hashable, Settings] = {}
    while len(found) < num_draws(sweep):
        some = {axis.pointer: draw(axis, stream) for axis in drawn}
        found.setdefault(identity(some), some)
    return list(found.values())


def points_of(sweep: SweepSpec) -> list[tuple[str | None, Settings]]:
    """Every variant with every combination of the grids' values; without what is drawn."""
    grids = [axis for axis in sweep.axes if axis.grid is not None]
    crossed = list(itertools.product(*[axis.grid or () for axis in grids]))
    pointers = [axis.pointer for axis in grids]
    return [
        (variant, dict(zip(pointers, values, strict=True)))
        for variant in sweep.variants or (None,)
        for values in crossed
    ]


def draw(axis: Axis, stream: random.Random) -> JsonValue:
    """A value of an axis that is drawn; of a range `rounded`, as it is written in the table."""
    if axis.choice is not None:
        return stream.choice(axis.choice)
    if axis.uniform is not None:
        return rounded(stream.uniform(*axis.uniform), *axis.uniform)
    assert axis.loguniform is not None
    low, high = axis.loguniform
    return rounded(math.exp(stream.uniform(math.log(low), math.log(high))), low, high)


def rows_of(sweep: SweepSpec) -> dict[str, tuple[str | None, Settings]]:
    """Variant and settings of each row of a grid, by its name; of a search only what it does not draw."""
    found = {}
    for variant, settings in points_of(sweep):
        if settings or variant is not None:
            names = [axis.pointer for axis in sweep.axes if axis.pointer in settings]
            found[_row(sweep, variant, {name: settings[name] for name in names})] = (variant, settings)
    return found


def _row(sweep: SweepSpec, variant: str | None, settings: Settings) -> str:
    pointers = [axis.pointer for axis in sweep.axes]
    values = [
        f"{label(each.pointer, pointers)}={each.text(settings[each.pointer])}"
        for each in sweep.axes
        if each.pointer in settings
    ]
    return ", ".join([variant, *values] if variant else values)


def told(sweep: SweepSpec, trial: str, settings: Settings, problem: Problem) -> Problem:
    """A trial's problem, at the place of the sweep where its value was given."""
    got = f"{trial}: {problem.pointer or 'the experiment'}: {problem.got}"
    for number, axis in enumerate(sweep.axes):
        if within(problem.pointer, axis.pointer) or problem.pointer == list_of(axis.pointer):
            place = axis.place(settings[axis.pointer])
            spot = "" if place is None else f"/{place}"
            return Problem(f"/axes/{number}/{axis.given[0]}{spot}", got, problem.allowed)
    return Problem(f"/base{problem.pointer}", f"{got} ({excerpt(dict(settings))})", problem.allowed)
