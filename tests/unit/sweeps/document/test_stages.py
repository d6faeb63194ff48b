"""Sweeps that are extended: what they had keeps its numbers, whatever is added."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sweeps.document.expand import count_trials, expand
from sweeps.document.spec import SweepSpec, parse_sweep
from sweeps.document.stages import added, before, extended, forms, parse_extension
from tests.data_factories import spec_document
from trainer.base.errors import SpecError

BASE = spec_document(method={"kind": "region_rebalance"}, seed=4)
GRID: dict[str, Any] = {
    "base": BASE,
    "axes": [
        {"pointer": "/method/lambda", "grid": [0, 0.3]},
        {"pointer": "/schedule/iterations", "grid": [10, 20]},
    ],
    "seeds": [0, 5],
}
RANDOM: dict[str, Any] = {
    "base": BASE,
    "axes": [
        {"pointer": "/method/lambda", "uniform": [0, 1]},
        {"pointer": "/schedule/iterations", "grid": [10, 20]},
    ],
    "seeds": [0],
    "search": "random",
    "limits": {"trials": 2},
}
ROUNDS: list[dict[str, Any]] = [
    {"seeds": [3]},
    {"axes": {"/method/lambda": [0.1]}, "seeds": 2},
    {"axes": {"/schedule/iterations": [30], "/method/lambda": [0.2]}},
]


def grow(sweep: SweepSpec, asked: dict[str, Any]) -> SweepSpec:
    """The sweep as a later attempt's job reads it."""
    return parse_sweep(json.loads(extended(sweep, parse_extension(asked)).model_dump_json()))


@pytest.mark.parametrize("document", [GRID, {**GRID, "seeds": None}, {**GRID, "limits": {"trials": 8}}])
def test_numbers_stay(document: dict[str, Any]) -> None:
    """After each of three extensions the trials that there were come first, as they were; then the new ones,
    each combination once.
    """
    sweep = parse_sweep(document)
    first = sweep
    for asked in ROUNDS:
        had, sweep = expand(sweep), grow(sweep, asked)
        now = expand(sweep)
        assert now[: len(had)] == had
        assert len(now) == count_trials(sweep) > len(had)
        assert [each.number for each in now] == list(range(len(now)))
        keys = {(each.row, each.spec.seed) for each in now}
        assert len(keys) == len(now)
    *_, oldest = forms(sweep)
    assert oldest == first
    assert len(list(forms(sweep))) == 4


def test_draws_of_a_random_search_stay() -> None:
    """More draws go on in the same stream; a grid beside them may grow, and seeds."""
    sweep = parse_sweep(RANDOM)
    for asked in ({"trials": 3}, {"seeds": 1}, {"axes": {"/schedule/iterations": [30]}}, {"trials": 1}):
        had, sweep = expand(sweep), grow(sweep, asked)
        assert expand(sweep)[: len(had)] == had
    assert count_trials(sweep) == 6 * 3 * 2
    assert parse_sweep(RANDOM) == list(forms(sweep))[-1]


def test_so_many_more_seeds() -> None:
    """The smallest that it has not; of one that named none, beside the base's."""
    assert grow(parse_sweep(GRID), {"seeds": 3}).seeds == (0, 5, 1, 2, 3)
    named_none = parse_sweep({**GRID, "seeds": None})
    grown = grow(named_none, {"seeds": 2})
    assert grown.seeds == (4, 0, 1)
    assert before(grown) == named_none


def test_optuna_draws_more() -> None:
    """Its limit grows, and nothing else can."""
    document = {**RANDOM, "search": "optuna"}
    assert grow(parse_sweep(document), {"trials": 5}).limits.trials == 7
    with pytest.raises(SpecError) as caught:
        grow(parse_sweep(document), {"seeds": 1, "axes": {"/schedule/iterations": [30]}})
    assert [each.pointer for each in caught.value.problems] == ["/seeds", "/axes"]


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({}, ""),
        ([], ""),
        ({"seeds": 0}, "/seeds"),
        ({"seeds": [5]}, "/seeds/0"),
        ({"seeds": [7, 7]}, "/seeds/1"),
        ({"seeds": 999}, "/seeds"),
        ({"axes": {"/method/lambda": [0.1, 0.0]}}, "/axes/~1method~1lambda/1"),
        ({"axes": {"/seed": [1]}}, "/axes/~1seed"),
        ({"axes": {"/method/lambda": []}}, "/axes/~1method~1lambda"),
        ({"trials": 3}, "/trials"),
        ({"seed": [1]}, "/seed"),
    ],
)
def test_what_cannot_be_meant(asked: Any, pointer: str) -> None:
    """Each problem at its place in what was asked."""
    with pytest.raises(SpecError) as caught:
        extended(parse_sweep(GRID), parse_extension(asked))
    assert pointer in [each.pointer for each in caught.value.problems]


def test_a_sweep_that_was_not_extended_has_no_word_of_it() -> None:
    """Its document is as it was."""
    assert "grown" not in parse_sweep(GRID).model_dump(mode="json")


def test_what_each_extension_added() -> None:
    """In their order, as it was asked for, seeds by name; draws of a search as so many more."""
    sweep = parse_sweep(GRID)
    for asked in ROUNDS:
        sweep = grow(sweep, asked)
    assert list(added(sweep)) == [
        parse_extension(asked) for asked in (ROUNDS[0], {**ROUNDS[1], "seeds": [1, 2]}, ROUNDS[2])
    ]
    drawn = grow(grow(parse_sweep(RANDOM), {"trials": 3}), {"seeds": [9]})
    assert list(added(drawn)) == [parse_extension({"trials": 3}), parse_extension({"seeds": [9]})]
    assert list(added(parse_sweep(GRID))) == []
