"""A sweep that was extended, as it was before; and how one is extended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Annotated, Any

from pydantic import Field, JsonValue

from sweeps.document.growth import Growth
from sweeps.document.json_fields import identity
from sweeps.document.spec import MAX_TRIALS, Axis, Pointer, Seed, SweepSpec, Values
from trainer.base.errors import Problem, SpecError
from trainer.base.pointers import escape, excerpt, validated
from trainer.base.strict_model import StrictModel

_MOST_SEEDS = 1000


class SweepExtension(StrictModel):
    """What a sweep that has come to its end is to have besides."""

    seeds: (
        Annotated[int, Field(ge=1, le=_MOST_SEEDS)]
        | Annotated[tuple[Seed, ...], Field(strict=False, min_length=1, max_length=_MOST_SEEDS)]
        | None
    ) = Field(default=None, description="So many more, the smallest that it has not; or these.")
    axes: dict[Pointer, Values] = Field(
        default_factory=dict, max_length=20, description="More values of a grid, by the axis' pointer."
    )
    trials: int | None = Field(
        default=None, ge=1, le=MAX_TRIALS, description="So many more draws, of random and optuna."
    )


def parse_extension(document: object) -> SweepExtension:
    """What a decoded JSON document asks for.

    Raises:
        SpecError: with every problem found.
    """
    asked = validated(SweepExtension, document, SpecError)
    if asked == SweepExtension():
        raise SpecError((Problem("", "asks for nothing", "seeds, axes or trials"),))
    return asked


def seeds_of(sweep: SweepSpec) -> tuple[int, ...]:
    """The seeds of its trials: the base's where it names none."""
    return sweep.seeds if sweep.seeds is not None else (sweep.base.seed,)


def before(sweep: SweepSpec) -> SweepSpec:
    """The sweep as it was before its last extension; it has one."""
    *earlier, last = sweep.grown
    axes = tuple(
        axis if axis.grid is None else _with_grid(axis, axis.grid[:number])
        for axis, number in zip(sweep.axes, last.values, strict=True)
    )
    seeds = None if sweep.seeds is None or last.seeds is None else sweep.seeds[: last.seeds]
    limits = sweep.limits.model_copy(update={"trials": last.trials})
    return sweep.model_copy(update={"axes": axes, "seeds": seeds, "limits": limits, "grown": tuple(earlier)})


def forms(sweep: SweepSpec) -> Iterator[SweepSpec]:
    """The sweep, and what it was before each of its extensions, the newest first."""
    yield sweep
    while sweep.grown:
        sweep = before(sweep)
        yield sweep


def added(sweep: SweepSpec) -> Iterator[SweepExtension]:
    """What each of its extensions has added, the first one first; seeds by name."""
    for old, new in pairwise(reversed(list(forms(sweep)))):
        axes = {
            axis.pointer: axis.grid[len(had.values) :]
            for had, axis in zip(old.axes, new.axes, strict=True)
            if axis.grid is not None and axis != had
        }
        drawn = (new.limits.trials or 0) - (old.limits.trials or 0) if new.search != "grid" else 0
        yield SweepExtension(
            seeds=seeds_of(new)[len(seeds_of(old)) :] or None, axes=axes, trials=drawn or None
        )


def extended(sweep: SweepSpec, asked: SweepExtension) -> SweepSpec:
    """The sweep with what is asked for appended; its new trials are not looked at.

    Raises:
        SpecError: it has that already, or cannot have it.
    """
    problems = [*_kind_problems(sweep, asked), *_axis_problems(sweep, asked), *_seed_problems(sweep, asked)]
    if problems:
        raise SpecError(tuple(problems))
    had = seeds_of(sweep)
    size = Growth(
        seeds=None if sweep.seeds is None else len(had),
        values=tuple(len(axis.values) for axis in sweep.axes),
        trials=sweep.limits.trials,
    )
    changes: dict[str, Any] = {
        "axes": tuple(_longer(axis, asked.axes) for axis in sweep.axes),
        "seeds": sweep.seeds if asked.seeds is None else (*had, *_more_seeds(had, asked.seeds)),
        "limits": sweep.limits.model_copy(update={"trials": _more_trials(sweep, asked)}),
        "grown": (*sweep.grown, size),
    }
    return sweep.model_copy(update=changes)


def asked_at(problem: Problem, sweep: SweepSpec) -> Problem:
    """A problem of an extended sweep, at its place in what was asked; `sweep` is as it was before."""
    for number, axis in enumerate(sweep.axes):
        head = f"/axes/{number}/grid/"
        place = problem.pointer.removeprefix(head)
        if place != problem.pointer and place.isdecimal() and int(place) >= len(axis.values):
            pointer = f"/axes/{escape(axis.pointer)}/{int(place) - len(axis.values)}"
            return replace(problem, pointer=pointer)
    return problem


def _longer(axis: Axis, more: Mapping[str, Sequence[JsonValue]]) -> Axis:
    added = more.get(axis.pointer, ())
    return _with_grid(axis, (*(axis.grid or ()), *added)) if added else axis


def _with_grid(axis: Axis, values: Sequence[JsonValue]) -> Axis:
    """Made anew, not copied: an axis keeps where its values are."""
    return Axis(pointer=axis.pointer, grid=tuple(values))


def _more_seeds(had: Sequence[int], asked: int | Sequence[int]) -> tuple[int, ...]:
    if not isinstance(asked, int):
        return tuple(asked)
    free = (seed for seed in range(len(had) + asked) if seed not in had)
    return tuple(next(free) for _ in range(asked))


def _more_trials(sweep: SweepSpec, asked: SweepExtension) -> int | None:
    """A grid's own limit, which only says how many somebody meant, does not keep it from growing."""
    if sweep.search == "grid":
        return None
    return (sweep.limits.trials or 0) + (asked.trials or 0)


def _kind_problems(sweep: SweepSpec, asked: SweepExtension) -> Iterator[Problem]:
    if sweep.search == "grid" and asked.trials is not None:
        yield Problem("/trials", "a grid draws none", "seeds, or axes with more values")
    if sweep.search == "optuna":
        wanted = "trials: what optuna has drawn so far was judged by the values and seeds that there are"
        given = {"/seeds": asked.seeds is not None, "/axes": bool(asked.axes)}
        yield from (Problem(where, "is given to optuna", wanted) for where, is_so in given.items() if is_so)


def _axis_problems(sweep: SweepSpec, asked: SweepExtension) -> Iterator[Problem]:
    grids = {axis.pointer: axis for axis in sweep.axes if axis.grid is not None}
    wanted = ", ".join(grids) or "none: the sweep has no axis with a grid"
    for pointer, values in asked.axes.items():
        here = f"/axes/{escape(pointer)}"
        if pointer not in grids:
            yield Problem(here, "is no axis with a grid", wanted)
            continue
        there = {identity(value) for value in grids[pointer].values}
        for place, value in enumerate(values):
            if identity(value) in there:
                yield Problem(f"{here}/{place}", f"{excerpt(value)} is there already", "values that are not")
            there.add(identity(value))


def _seed_problems(sweep: SweepSpec, asked: SweepExtension) -> Iterator[Problem]:
    there = set(seeds_of(sweep))
    new = asked.seeds if isinstance(asked.seeds, tuple) else ()
    for place, seed in enumerate(new):
        if seed in there:
            yield Problem(f"/seeds/{place}", f"{seed} is there already", "seeds that are not")
        there.add(seed)
    number = asked.seeds if isinstance(asked.seeds, int) else len(new)
    if len(seeds_of(sweep)) + number > _MOST_SEEDS:
        yield Problem("/seeds", f"{number} more than {len(seeds_of(sweep))}", f"at most {_MOST_SEEDS} in all")
