"""From a sweep to its trials: order, names, seeds, and mistakes told at their place in the sweep."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.expand import Trial, count_trials, expand
from sweeps.spec import parse_sweep
from tests.factories import tiny_document
from trainer.errors import Problem, SpecError
from trainer.spec import parse_spec


def trials(**fields: Any) -> tuple[Trial, ...]:
    return expand(parse_sweep({"base": tiny_document(method="region_rebalance"), **fields}))


def refusals(**fields: Any) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        trials(**fields)
    return caught.value.problems


def test_grid() -> None:
    """λ × seeds: whole tables first, one experiment each, named by what differs."""
    found = trials(axes=[{"pointer": "/method/lambda", "grid": [0, 0.3]}], seeds=[4, 2])
    assert [trial.name for trial in found] == [
        "lambda=0, seed 4",
        "lambda=0.3, seed 4",
        "lambda=0, seed 2",
        "lambda=0.3, seed 2",
    ]
    assert [trial.number for trial in found] == [0, 1, 2, 3]
    document = tiny_document(method={"kind": "region_rebalance", "lambda": 0.3}, seed=2, name=found[3].name)
    assert found[3].spec == parse_spec(document)


def test_variants() -> None:
    """Variants replace the whole method; a sweep without axes has its method's name as its row."""
    found = trials(variants={"plain": "baseline", "ours": {"kind": "region_rebalance", "lambda": 0.1}})
    assert [(trial.row, trial.spec.method.kind) for trial in found] == [
        ("plain", "baseline"),
        ("ours", "region_rebalance"),
    ]
    assert [trial.row for trial in trials()] == ["region_rebalance"]


def test_any_field_can_be_an_axis() -> None:
    """Defaults of the base can be varied, whole objects and items of lists as well; tags are added."""
    found = trials(
        axes=[
            {"pointer": "/schedule/momentum", "grid": [0.5]},
            {"pointer": "/schedule/crop_size/1", "grid": [32]},
            {"pointer": "/dataset", "grid": [{"name": "digit_scenes", "train_images": 60}]},
        ],
        tags={"sweep": "s1"},
    )
    (spec,) = (trial.spec for trial in found)
    assert (spec.schedule.momentum, spec.schedule.crop_size) == (0.5, (64, 32))
    assert spec.dataset.model_dump()["train_images"] == 60
    assert spec.tags == {"sweep": "s1"}


@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 3))
def test_count(values: int, seeds: int, variants: int) -> None:
    """The count without making trials is the number made; numbers are places in the order."""
    sweep = parse_sweep(
        {
            "base": tiny_document(),
            "axes": [{"pointer": "/schedule/weight_decay", "grid": [i / 10 for i in range(values)]}],
            "variants": {f"v{i}": "baseline" for i in range(variants)},
            "seeds": list(range(seeds)),
        }
    )
    made = expand(sweep)
    assert [trial.number for trial in made] == list(range(count_trials(sweep)))
    assert len({trial.name for trial in made}) == values * seeds * variants


def test_draws() -> None:
    """Draws lie in their range, come again with the same search seed, and are shared by seeds."""
    axes = [
        {"pointer": "/method/lambda", "loguniform": [0.01, 1]},
        {"pointer": "/schedule/momentum", "choice": [0.5, 0.9]},
    ]
    fields: dict[str, Any] = {"axes": axes, "search": "random", "limits": {"trials": 8}, "seeds": [0, 1]}
    found = trials(**fields)
    lambdas = [float(str(trial.settings["/method/lambda"])) for trial in found]
    assert all(0.01 <= value <= 1 for value in lambdas)
    assert lambdas[:8] == lambdas[8:]
    assert len(set(lambdas)) == 8
    assert {trial.settings["/schedule/momentum"] for trial in found} == {0.5, 0.9}
    assert trials(**fields) == found
    assert [trial.settings for trial in trials(**fields, search_seed=1)] != [
        trial.settings for trial in found
    ]


def test_unknown_field() -> None:
    """A pointer to nothing is answered with the fields beside it."""
    (problem,) = refusals(axes=[{"pointer": "/method/lamda", "grid": [0]}])
    assert problem.pointer == "/axes/0/pointer"
    assert "/method/lambda" in problem.allowed


def test_field_of_one_variant_only() -> None:
    """An axis that a variant's method does not have names the variant."""
    axis = {"pointer": "/method/lambda", "grid": [0]}
    (problem,) = refusals(axes=[axis], variants={"plain": "baseline", "rr": "region_rebalance"})
    assert (problem.pointer, problem.got) == (
        "/axes/0/pointer",
        "/method/lambda is not a field of the experiment with plain",
    )


def test_refused_value() -> None:
    """A value that the experiment refuses is told once for all seeds, with its trial, place and bounds."""
    (problem,) = refusals(axes=[{"pointer": "/method/lambda", "grid": [0, 20]}], seeds=[0, 1])
    assert problem == Problem(
        "/axes/0/grid/1",
        "trial 1 (lambda=20): /method/lambda: 20 is above the maximum",
        "0 <= lambda <= 10",
    )


def test_refused_combination() -> None:
    """What no single value is to blame for is told at the base, with the trial's settings."""
    (problem,) = refusals(axes=[{"pointer": "/resources/workers", "grid": [1, 3]}])
    assert problem.pointer == "/base/schedule/batch_size"
    assert "trial 1 (workers=3): /schedule/batch_size: 4 does not divide among 3 workers" in problem.got


def test_too_many() -> None:
    """More than 10,000 trials are refused with their number, before any is made."""
    grid = {"grid": list(range(101))}
    axes = [{"pointer": f"/schedule/{name}", **grid} for name in ("iterations", "batch_size")]
    (problem,) = refusals(axes=axes)
    assert problem == Problem("", f"{math.prod((101, 101))} trials", "at most 10000")


def test_limit_below_the_grid() -> None:
    """A grid is run whole or not at all."""
    (problem,) = refusals(axes=[{"pointer": "/method/lambda", "grid": [0, 1]}], limits={"trials": 1})
    assert problem == Problem("/limits/trials", "1 is below the grid's 2 trials", ">= 2")
