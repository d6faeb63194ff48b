"""From a sweep to its trials: order, names, seeds, and mistakes told at their place in the sweep."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.document.expand import Trial, count_trials, expand
from sweeps.document.json_fields import identity, label, texts
from sweeps.document.spec import parse_sweep
from tests.data_factories import spec_document
from tests.factories import tiny_document
from trainer.base.errors import Problem, SpecError
from trainer.spec.spec import parse_spec

RR = tiny_document(method="region_rebalance")
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def trials(**fields: Any) -> tuple[Trial, ...]:
    return expand(parse_sweep({"base": RR, **fields}))


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


def test_a_choice_is_drawn_once() -> None:
    """Draws that repeat a setting are drawn again, until there is no other: 2 × 3 settings are 6 trials."""
    axes = [
        {"pointer": "/schedule/momentum", "choice": [0.5, 0.9]},
        {"pointer": "/method/scope", "choice": ["image", "batch"]},
        {"pointer": "/method/lambda", "grid": [0.1, 0.2]},
    ]
    for asked, drawn in ((3, 3), (4, 4), (50, 4)):
        fields: dict[str, Any] = {"axes": axes, "search": "random", "limits": {"trials": asked}}
        found = trials(**fields)
        assert len(found) == 2 * drawn == count_trials(parse_sweep({"base": RR, **fields}))
        assert set(Counter(json.dumps(dict(trial.settings)) for trial in found).values()) == {1}


def test_a_drawn_number_is_the_one_in_its_row() -> None:
    """Ranges are drawn to six digits beyond those that both ends share, so that rows are short and unique."""
    for low, high, longest in ((0.0, 1.0, 8), (0.3, 0.30001, 13)):
        for way in ("uniform", "loguniform"):
            axes = [{"pointer": "/method/lambda", way: [low or 0.001, high]}]
            found = trials(axes=axes, search="random", limits={"trials": 300})
            texts = [trial.row.removeprefix("lambda=") for trial in found]
            assert len(set(texts)) == 300
            assert max(map(len, texts)) <= longest + 4, "an exponent at most"
            assert [float(text) for text in texts] == [trial.spec.method.region_weight for trial in found]  # type: ignore[union-attr]
            assert all((low or 0.001) <= float(text) <= high for text in texts)


NAMED: dict[str, tuple[str, list[Any], list[str]]] = {
    "close numbers": ("/method/lambda", [0.1, 0.10000001, 0.2], ["0.1", "0.10000001", "0.2"]),
    "a long list": ("/evaluation/group_boundaries", [[0.1, 0.2]], ["[0.1,0.2]"]),
    "text with the marks of a row": ("/dataset/root", ["/a, root=/b", '/"'], ['"/a, root=/b"', '"/\\""']),
    "text with controls": ("/dataset/root", ["/a\nb", "/\x7f\u2028"], ['"/a\\nb"', '"/\\u007f\\u2028"']),
    "text that reads as another": ("/dataset/root", ["1", "true", "λ b"], ['"1"', '"true"', "λ b"]),
    "long text": ("/dataset/root", ["/" + "a" * 99], ["/" + "a" * 58 + "…"]),
    "long text that begins the same": (
        "/dataset/root",
        ["/" + "a" * 250, "/" + "a" * 249],
        ['"/' + "a" * 250 + '"', '"/' + "a" * 249 + '"'],
    ),
}


@pytest.mark.parametrize("case", NAMED)
def test_rows_are_unique(case: str) -> None:
    """Each value has a row of its own, as short as it can be; names of experiments stay valid."""
    pointer, values, expected = NAMED[case]
    dataset = {"name": "folder", "root": "/data"} if pointer.startswith("/dataset") else RR["dataset"]
    found = trials(base={**RR, "dataset": dataset}, axes=[{"pointer": pointer, "grid": values}])
    last = pointer.rpartition("/")[2]
    assert [trial.row for trial in found] == [f"{last}={text}" for text in expected]
    for trial in found:
        assert parse_spec(trial.spec.model_dump(mode="json")) == trial.spec
        assert trial.spec.name.endswith(", seed 0")


def test_rows_name_fields_apart() -> None:
    """Where the last names of two axes are the same, or an index, the whole pointer is written."""
    pointers = ("/resources/workers", "/schedule/crop_size/0", "/dataset/seed")
    (trial,) = trials(axes=[{"pointer": pointer, "grid": [32]} for pointer in pointers[1:]])
    assert trial.row == "schedule/crop_size/0=32, seed=32"
    assert label("/a/name", ["/a/name", "/b/name"]) == "a/name"


@given(st.lists(JSON_VALUES, min_size=2, max_size=6))
def test_two_settings_never_share_a_row(values: list[Any]) -> None:
    """Whatever JSON values an axis lists: those that JSON tells apart are written apart."""
    alone = list({identity(value): value for value in values}.values())
    assert len(set(texts(alone))) == len(alone)


REFUSED_DRAWS: dict[str, tuple[dict[str, Any], str, str]] = {
    "a choice": (
        {"pointer": "/method/lambda", "choice": [0.1, -1]},
        "/axes/0/choice/1",
        "a trial with lambda=-1: /method/lambda: -1 is below the minimum",
    ),
    "an end": (
        {"pointer": "/method/lambda", "uniform": [0, 11]},
        "/axes/0/uniform/1",
        "a trial with lambda=11: /method/lambda: 11.0 is above the maximum",
    ),
    "a range of integers": (
        {"pointer": "/schedule/iterations", "uniform": [1, 9]},
        "/axes/0/uniform/0",
        "a trial with iterations=1: /schedule/iterations: 1.0 is a number",
    ),
}


@pytest.mark.parametrize("search", ["random", "optuna"])
@pytest.mark.parametrize("case", REFUSED_DRAWS)
def test_what_might_be_drawn_is_refused(case: str, search: str) -> None:
    """Every choice and both ends of ranges are tried before anything runs, drawn or not."""
    axis, pointer, got = REFUSED_DRAWS[case]
    told = refusals(axes=[axis], search=search, limits={"trials": 1})
    assert (told[0].pointer, told[0].got) == (pointer, got)


def test_combinations_that_might_be_drawn_are_refused() -> None:
    """Where there are few of them, all combinations of choices are tried; of many, each value at least."""
    workers = {"pointer": "/resources/workers", "choice": [1, 2, 3]}
    batches = {"pointer": "/schedule/batch_size", "choice": [6, 8]}
    search: dict[str, Any] = {"search": "optuna", "limits": {"trials": 1}}
    (problem,) = refusals(axes=[workers, batches], **search)
    assert problem.pointer == "/axes/1/choice/1"
    assert problem.got.startswith("a trial with workers=3, batch_size=8: ")
    many = [{"pointer": "/schedule/weight_decay", "choice": [k / 1000 for k in range(999)]}]
    wrong = {"pointer": "/method/lambda", "choice": [0, 1, -1]}
    assert {one.pointer for one in refusals(axes=[*many, wrong], **search)} == {"/axes/1/choice/2"}


def test_of_very_many_mistakes_the_first_are_told() -> None:
    """Fifty, and how many more there are; each with the number of its trial."""
    found = refusals(axes=[{"pointer": "/method/lambda", "grid": list(range(100))}])
    assert found[1].got.startswith("trial 12 (lambda=12): ")
    assert [str(one) for one in found[50:]] == ["(document): 39 more problems; allowed: a sweep with none"]


@pytest.mark.parametrize("index", ["01", "٠", "²", "-", "-1", "2", "9" * 150])
def test_an_index_is_spelled_in_one_way(index: str) -> None:
    """RFC 6901: decimal digits without leading zeros; so no item of a list is set by two axes."""
    (problem,) = refusals(axes=[{"pointer": f"/schedule/crop_size/{index}", "grid": [32]}])
    assert problem.pointer == "/axes/0/pointer"


def test_unknown_field() -> None:
    """A pointer to nothing is answered with the fields beside it."""
    (problem,) = refusals(axes=[{"pointer": "/method/lamda", "grid": [0]}])
    assert problem.pointer == "/axes/0/pointer"
    assert "/method/lambda" in problem.allowed
    (problem,) = refusals(axes=[{"pointer": "/sead", "grid": [0]}])
    fields = "/dataset, /model, /weights, /method, /schedule, /augmentation, /resources, /evaluation"
    assert problem.allowed == f"one of {fields}"


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
    """More than 10,000 trials are refused with their number and its factors, before any is made."""
    grid = {"grid": list(range(101))}
    axes = [{"pointer": f"/schedule/{name}", **grid} for name in ("iterations", "batch_size")]
    (problem,) = refusals(axes=axes)
    got = "10201 trials: 101 values of iterations × 101 values of batch_size"
    assert problem == Problem("", got, "at most 10000")


def test_what_makes_too_many() -> None:
    """Variants, draws and seeds multiply as well; what is there once is not told."""
    variants = {name: {"kind": "region_rebalance"} for name in "abcde"}
    axes = [{"pointer": "/method/lambda", "uniform": [0, 1]}, {"pointer": "/schedule/momentum", "grid": [0]}]
    search: dict[str, Any] = {"search": "random", "limits": {"trials": 30}}
    (problem,) = refusals(variants=variants, axes=axes, seeds=list(range(100)), **search)
    assert problem.got == "15000 trials: 5 variants × 30 draws × 100 seeds"


def test_a_pointer_from_the_top_of_the_sweep() -> None:
    """Who writes /base before it is told to leave it out."""
    (problem,) = refusals(axes=[{"pointer": "/base/method/lambda", "grid": [0]}])
    assert problem.allowed == "/method/lambda, without /base: pointers begin in the base"


def test_limit_below_the_grid() -> None:
    """A grid is run whole or not at all."""
    (problem,) = refusals(axes=[{"pointer": "/method/lambda", "grid": [0, 1]}], limits={"trials": 1})
    assert problem == Problem("/limits/trials", "1 is below the grid's 2 trials", ">= 2")


@pytest.mark.parametrize(
    ("pointer", "values", "base", "places"),
    [
        (
            "/resources/workers",
            [1, 2],
            {"resources": {"gpus_per_worker": 0.5}},
            {"/axes/0/grid/1", "/base/resources/gpus_per_worker"},
        ),
        (
            "/schedule/crop_size/0",
            [32, 16],
            {"schedule": {"batch_size": 1, "crop_size": [32, 16]}},
            {"/axes/0/grid/1", "/base/schedule/batch_size"},
        ),
        (
            "/schedule/batch_size",
            [2, 1],
            {"schedule": {"crop_size": [16, 16]}},
            {"/axes/0/grid/1", "/base/schedule/crop_size"},
        ),
    ],
)
def test_fields_that_do_not_go_together(
    pointer: str, values: list[int], base: dict[str, Any], places: set[str]
) -> None:
    """Told at the value that makes a trial impossible, and at the base's field that it does not go with."""
    told = refusals(base=spec_document(**base), axes=[{"pointer": pointer, "grid": values}])
    assert {problem.pointer for problem in told} == places
    assert all("trial 1" in problem.got for problem in told)
