"""SweepSpec: every mistake that needs no trial to be seen is told at its place."""

from __future__ import annotations

from typing import Any

import pytest

from sweeps.document.presets import PRESETS, preset_sweep
from sweeps.document.spec import SweepSpec, parse_sweep
from tests.factories import tiny_document
from trainer.base.errors import SpecError

LAMBDA = {"pointer": "/method/lambda", "grid": [0, 0.3]}
DRAWN = {"pointer": "/method/lambda", "uniform": [0, 1]}

EVALUATED = tiny_document(evaluation={"interval": 2})  # of 4 iterations


def sweep_document(**fields: Any) -> dict[str, Any]:
    return {"base": tiny_document(method="region_rebalance"), **fields}


def problems(**fields: Any) -> dict[str, str]:
    """Pointer → what was wrong, of a sweep that must be refused."""
    with pytest.raises(SpecError) as caught:
        parse_sweep(sweep_document(**fields))
    return {problem.pointer: problem.got for problem in caught.value.problems}


def test_only_the_base_must_be_given() -> None:
    """A base alone is a sweep of one trial; its own defaults are filled in as in an experiment."""
    sweep = parse_sweep(sweep_document())
    assert (sweep.metric, sweep.direction, sweep.search, sweep.scheduler.kind) == (
        "mIoU",
        "max",
        "grid",
        "none",
    )
    assert sweep.base.schedule.momentum == 0.9


def test_round_trip() -> None:
    """The stored form of a sweep reads back as the same sweep."""
    sweep = parse_sweep(
        sweep_document(axes=[LAMBDA], variants={"b": "baseline"}, seeds=[1, 0], scheduler="none")
    )
    assert SweepSpec.model_validate_json(sweep.model_dump_json()) == sweep


@pytest.mark.parametrize(
    ("fields", "pointer", "got"),
    [
        ({"axes": [{"pointer": "/method/lambda"}]}, "/axes/0", "gives no values"),
        ({"axes": [{**LAMBDA, "choice": [1]}]}, "/axes/0", "has grid and choice"),
        ({"axes": [{"pointer": "/method/lambda", "grid": []}]}, "/axes/0/grid", "has 0 items"),
        ({"axes": [{**LAMBDA, "grid": [1, 1]}]}, "/axes/0/grid/1", "1 is listed twice"),
        ({"axes": [{**LAMBDA, "grid": [0, 1, 0.0]}]}, "/axes/0/grid/2", "0.0 is listed twice, as 0 at"),
        (
            {"axes": [{"pointer": "/dataset", "choice": [{"scale": [1]}, {"scale": [1.0]}]}]},
            "/axes/0/choice/1",
            '{"scale": [1.0]} is listed twice, as {"scale": [1]} at /axes/0/choice/0',
        ),
        ({"axes": [{"pointer": "lambda", "grid": [1]}]}, "/axes/0/pointer", '"lambda" has characters'),
        ({"axes": [DRAWN]}, "/axes/0/uniform", "cannot be crossed in a grid search"),
        ({"axes": [{**DRAWN, "uniform": [1, 0]}]}, "/axes/0/uniform", "1.0 is not below 0.0"),
        (
            {"axes": [{"pointer": "/method/lambda", "loguniform": [0, 1]}]},
            "/axes/0/loguniform/0",
            "0.0 has no logarithm",
        ),
        ({"axes": [LAMBDA, LAMBDA]}, "/axes/1/pointer", "/method/lambda is set by /axes/0/pointer too"),
        (
            {"axes": [LAMBDA, {"pointer": "/method", "grid": ["baseline"]}]},
            "/axes/1/pointer",
            "/method is set by /axes/0/pointer too",
        ),
        (
            {"axes": [{"pointer": "/method", "grid": ["dice"]}], "variants": {"b": "baseline"}},
            "/axes/0/pointer",
            "/method is set by /variants too",
        ),
        ({"axes": [{"pointer": "/seed", "grid": [1]}]}, "/axes/0/pointer", "/seed cannot be varied"),
        ({"axes": [{"pointer": "/name", "grid": ["a"]}]}, "/axes/0/pointer", "/name cannot be varied"),
        ({"axes": [{"pointer": "/tags/a", "grid": ["b"]}]}, "/axes/0/pointer", "/tags/a cannot be varied"),
        ({"seeds": [1, 2, 1]}, "/seeds/2", "1 is listed twice"),
        ({"seeds": []}, "/seeds", "has 0 items"),
        ({"metric": "loss"}, "/metric", '"loss" is not known'),
        ({"search": "random", "axes": [LAMBDA]}, "/search", "random has nothing to draw"),
        ({"search": "random", "axes": [DRAWN]}, "/limits/trials", "is missing"),
        (
            {"axes": [{"pointer": "/method/lambda", "uniform": [0.1, 0.10000000000000002]}]},
            "/axes/0/uniform",
            "numbers cannot be drawn between 0.1 and 0.10000000000000002",
        ),
        (
            {"axes": [{"pointer": "/method/lambda", "uniform": [-1e308, 1e308]}]},
            "/axes/0/uniform",
            "numbers cannot be drawn between",
        ),
        (
            {"scheduler": "asha"},
            "/base/evaluation/interval",
            "is null, and asha judges trials while they run",
        ),
        (
            {"scheduler": "asha", "base": tiny_document(evaluation={"interval": 4})},
            "/base/evaluation/interval",
            "is 4, and asha judges trials while they run",
        ),
        (
            {"scheduler": {"kind": "asha", "grace_iterations": 4}, "base": EVALUATED},
            "/scheduler/grace_iterations",
            "with 4 no trial is ever stopped",
        ),
        ({"base": tiny_document(method="nothing")}, "/base/method", '"nothing" is not known'),
        ({"variants": {"x": {"kind": "dice", "y": 1}}}, "/variants/x/y", "is not a field of this object"),
    ],
)
def test_refused(fields: dict[str, Any], pointer: str, got: str) -> None:
    """Each mistake is named at its place, whatever else is right."""
    found = problems(**fields)
    assert got in found.get(pointer, ""), found


@pytest.mark.parametrize(
    ("axis", "said"),
    [
        (
            {"pointer": "method/lambda", "grid": [0]},
            "a string of at most 200 characters that begins with /, as /method/lambda does",
        ),
        (
            {"pointer": "/method/kind", "grid": ["baseline", "dice"]},
            'use /method, whose values are names or whole methods: "dice", or /variants',
        ),
        (
            {"pointer": "/dataset/name", "grid": ["camvid"]},
            "use /dataset, whose values are names or whole data sets",
        ),
        ({"pointer": "/method/lambda", "grid": [float("inf")]}, "a finite number"),
        ({"pointer": "/method/lambda", "uniform": [0, float("inf")]}, "a finite number"),
    ],
)
def test_an_axis_is_told_what_to_do_instead(axis: dict[str, Any], said: str) -> None:
    """In one sentence, without the words of a regular expression or of what would follow."""
    with pytest.raises(SpecError) as caught:
        parse_sweep(sweep_document(axes=[axis]))
    assert [problem.allowed for problem in caught.value.problems] == [said]


@pytest.mark.parametrize("text", ["a\u202eb", "\x9b31m", "\u200b", "  ", "a "])
def test_names_can_be_seen(text: str) -> None:
    """Names of sweeps and rows, as tags, have no hidden characters and are more than blanks."""
    for fields, pointer in (
        ({"name": text}, "/name"),
        ({"variants": {text: "dice"}}, "/variants/"),
        ({"tags": {"a": text}}, "/tags/a"),
        ({"axes": [{**LAMBDA, "pointer": f"/method/{text}"}]}, "/axes/0/pointer"),
    ):
        [(found, got)] = problems(**fields).items()
        assert found.startswith(pointer)
        assert got.startswith("has U+") or got == "begins or ends with a blank"
        assert f"{found}{got}".isprintable()


@pytest.mark.parametrize(
    "pointer", ["/schedule/iterations", "/evaluation/interval", "/schedule", "/evaluation"]
)
def test_trials_of_a_scheduler_are_of_one_length(pointer: str) -> None:
    """What a scheduler takes from the base for all trials cannot be an axis; without one it can."""
    axes = [{"pointer": pointer, "grid": [1]}]
    found = problems(base=EVALUATED, axes=axes, scheduler="asha")
    assert found == {
        "/axes/0/pointer": f"{pointer} cannot vary: asha judges all trials at the same iterations"
    }
    parse_sweep({"base": EVALUATED, "axes": axes})
    beside = [{"pointer": "/schedule/momentum", "grid": [0.5]}]
    parse_sweep({"base": EVALUATED, "axes": beside, "scheduler": "asha"})


def test_true_is_no_number() -> None:
    """JSON's true and 1 are two values, which the field then takes or refuses."""
    parse_sweep(sweep_document(axes=[{**LAMBDA, "grid": [True, 1, "1", None, [1], {"1": 1}]}]))


SMALL = {"dataset": "digit_scenes", "model": "small"}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_sweeps(name: str) -> None:
    """Every preset is a valid sweep whose rows the paper's numbers belong to."""
    sweep = parse_sweep(preset_sweep(name, base=SMALL, seeds=[0, 1, 2]))
    assert set(PRESETS[name].published) <= set(sweep.variants) == set(PRESETS[name].methods)


def test_unknown_preset() -> None:
    """An unknown preset is answered with the known ones."""
    with pytest.raises(SpecError, match="'table9' is not known; allowed: table1, table2"):
        preset_sweep("table9", base=SMALL, seeds=[0])
