"""A sweep's trials, as ordinary experiments: variants × axes × seeds, in a fixed order."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from sweeps.spec import MAX_TRIALS, Axis, SweepSpec
from trainer import methods
from trainer.errors import Problem, SpecError
from trainer.pointers import shown
from trainer.spec import ExperimentSpec, parse_spec

Settings = Mapping[str, JsonValue]  # axis pointer -> value


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
    draws = 1 if sweep.search == "grid" else sweep.limits.trials or 1
    return grids * draws * max(1, len(sweep.variants)) * len(sweep.seeds or (0,))


def expand(sweep: SweepSpec) -> tuple[Trial, ...]:
    """The trials of a grid or random search; seeds vary slowest, so that whole tables come early.

    Raises:
        SpecError: too many trials (with their number), a pointer to a field that does not exist, or a value
            that the experiment's spec refuses; problems name the trial and the place in the sweep.
    """
    _check_size(sweep)
    trials: list[Trial] = []
    problems: dict[tuple[str, str], Problem] = {}
    points = list(_points(sweep))
    for seed in sweep.seeds if sweep.seeds is not None else (sweep.base.seed,):
        for variant, settings in points:
            made = make_trial(sweep, len(trials), variant, settings, seed)
            if isinstance(made, Trial):
                trials.append(made)
            else:
                for problem in made:
                    problems.setdefault((problem.pointer, problem.allowed), problem)
        if problems:  # another seed would only repeat them
            raise SpecError(tuple(problems.values()))
    return tuple(trials)


def make_trial(
    sweep: SweepSpec, number: int, variant: str | None, settings: Settings, seed: int
) -> Trial | tuple[Problem, ...]:
    """One trial, or what is wrong with it, in pointers into the sweep's document."""
    document: dict[str, Any] = sweep.base.model_dump(mode="json")
    if variant is not None:
        document["method"] = sweep.variants[variant].model_dump(mode="json")
    row = _row(variant, settings)
    document |= {"seed": seed, "name": "", "tags": {**document["tags"], **sweep.tags}}
    missing = [
        Problem(
            f"/axes/{place}/pointer",
            f"{axis.pointer} is not a field of the experiment" + (f" with {variant}" if variant else ""),
            _neighbours(document, axis.pointer),
        )
        for place, axis in enumerate(sweep.axes)
        if not _put(document, axis.pointer, settings[axis.pointer])
    ]
    if missing:
        return tuple(missing)
    try:
        spec = parse_spec(document)
    except SpecError as error:
        return tuple(told(sweep, f"trial {number} ({row})", settings, problem) for problem in error.problems)
    row = row or methods.label(spec.method)
    spec = spec.model_copy(update={"name": f"{row}, seed {seed}"[:200]})
    return Trial(number, row, variant, settings, spec)


def _check_size(sweep: SweepSpec) -> None:
    total = count_trials(sweep)
    if total > MAX_TRIALS:
        raise SpecError((Problem("", f"{total} trials", f"at most {MAX_TRIALS}"),))
    most = sweep.limits.trials
    if sweep.search == "grid" and most is not None and total > most:
        raise SpecError(
            (Problem("/limits/trials", f"{most} is below the grid's {total} trials", f">= {total}"),)
        )


def _points(sweep: SweepSpec) -> Iterator[tuple[str | None, Settings]]:
    """Every variant with every combination of values; all variants meet the same draws."""
    drawn = [axis for axis in sweep.axes if axis.grid is None]
    stream = random.Random(sweep.search_seed)
    draws: Sequence[Settings] = [{}]
    if sweep.search != "grid":
        draws = [
            {axis.pointer: draw(axis, stream) for axis in drawn} for _ in range(sweep.limits.trials or 1)
        ]
    for variant, fixed in points_of(sweep):
        for some in draws:
            found = {**fixed, **some}
            yield variant, {axis.pointer: found[axis.pointer] for axis in sweep.axes}


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
    """A value of an axis that is drawn."""
    if axis.choice is not None:
        return stream.choice(axis.choice)
    if axis.uniform is not None:
        return stream.uniform(*axis.uniform)
    assert axis.loguniform is not None
    low, high = axis.loguniform
    return min(high, max(low, math.exp(stream.uniform(math.log(low), math.log(high)))))


def _row(variant: str | None, settings: Settings) -> str:
    values = [f"{pointer.rsplit('/', 1)[-1]}={_short(value)}" for pointer, value in settings.items()]
    return ", ".join([variant, *values] if variant else values)


def _short(value: JsonValue) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _tokens(pointer: str) -> list[str]:
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def _parent(document: Any, pointer: str) -> Any:
    """What holds the pointer's last token, or None."""
    here = document
    for token in _tokens(pointer)[:-1]:
        if isinstance(here, list):
            here = here[int(token)] if token.isdecimal() and int(token) < len(here) else None
        else:
            here = here.get(token) if isinstance(here, dict) else None
    return here


def _put(document: dict[str, Any], pointer: str, value: JsonValue) -> bool:
    """Sets an existing field; False where there is none."""
    parent, last = _parent(document, pointer), _tokens(pointer)[-1]
    if isinstance(parent, dict) and last in parent:
        parent[last] = value
        return True
    if isinstance(parent, list) and last.isdecimal() and int(last) < len(parent):
        parent[int(last)] = value
        return True
    return False


def _neighbours(document: dict[str, Any], pointer: str) -> str:
    """What might have been meant."""
    parent = _parent(document, pointer)
    if isinstance(parent, dict) and parent:
        prefix = pointer.rsplit("/", 1)[0]
        return "one of " + ", ".join(f"{prefix}/{name}" for name in parent)
    return "a field of the base, its defaults filled in"


def told(sweep: SweepSpec, trial: str, settings: Settings, problem: Problem) -> Problem:
    """A trial's problem, at the place of the sweep where its value was given."""
    got = f"{trial}: {problem.pointer or 'the experiment'}: {problem.got}"
    for place, axis in enumerate(sweep.axes):
        if f"{problem.pointer}/".startswith(f"{axis.pointer}/"):
            way = next(name for name in ("grid", "choice", "uniform", "loguniform") if getattr(axis, name))
            listed = axis.grid or axis.choice
            spot = f"/{listed.index(settings[axis.pointer])}" if listed else ""
            return Problem(f"/axes/{place}/{way}{spot}", got, problem.allowed)
    return Problem(f"/base{problem.pointer}", f"{got} ({shown(dict(settings))})", problem.allowed)
