"""Modes of scoring in a spec and in a request: what they may be, and what is said of those that may not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.data_factories import spec_document
from trainer.base.errors import SpecError
from trainer.spec.evaluation import MODES, Mode, Slide
from trainer.spec.followups import EvaluationRequest, parse_followup, problems_for
from trainer.spec.spec import ExperimentSpec, parse_spec

BEIT = {
    "model": {"mmseg": "beit/beit-base_upernet_8xb2-160k_ade20k-640x640"},
    "schedule": {"crop_size": [64, 64], "batch_size": 2, "iterations": 4, "learning_rate": 0.1},
}
WINDOWS = {"name": "w", "inference": {"window": [64, 64], "stride": [32, 32]}}


def parsed(*modes: Any, **changes: Any) -> ExperimentSpec:
    return parse_spec(spec_document(**changes, evaluation={"modes": list(modes)}))


def problems(*modes: Any, **changes: Any) -> list[str]:
    with pytest.raises(SpecError) as caught:
        parsed(*modes, **changes)
    return [str(problem) for problem in caught.value.problems]


def test_names_and_objects_in_their_order() -> None:
    """A mode is a name that is known or an object; the first is the one that lists show."""
    evaluation = parsed("multi_scale", {"name": "two", "scales": [1, 1.5]}, "single_scale").evaluation
    assert list(evaluation.by_name) == ["multi_scale", "two", "single_scale"]
    assert evaluation.first == MODES["multi_scale"]
    assert evaluation.by_name["two"] == Mode(name="two", scales=(1.0, 1.5))
    assert parsed(WINDOWS).evaluation.first.inference == Slide(window=(64, 64), stride=(32, 32))


def test_the_papers_modes() -> None:
    """Six scales, each mirrored as well, of the size at which pictures are scored; or of their own."""
    scales = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
    assert MODES["multi_scale"] == Mode(name="multi_scale", scales=scales, flip=True, base="test_size")
    assert MODES["multi_scale_native"].base == "native"
    assert MODES["multi_scale_native"].scales == scales


@pytest.mark.parametrize(
    ("modes", "told"),
    [
        (
            ["multi_scale", "multi_scale"],
            '/evaluation/modes/1: "multi_scale" is in the list already; allowed: each mode once',
        ),
        (
            [{"name": "x"}, {"name": "x", "flip": True}],
            '/evaluation/modes/1/name: "x" is in the list already; allowed: each mode once',
        ),
        (
            [{"name": "multi_scale", "scales": [1]}],
            (
                '/evaluation/modes/0/name: "multi_scale" is the name of a mode that is known; '
                'allowed: another name, or "multi_scale" for the object'
            ),
        ),
        (
            [{"name": "x", "scales": [1, 0.5, 1.0]}],
            "/evaluation/modes/0/scales/2: 1 is in the list already; allowed: each scale once",
        ),
        (
            [{"name": "x", "inference": {"window": [64, 64], "stride": [65, 32]}}],
            (
                "/evaluation/modes/0/inference/stride/0: 65 is above the window's height, 64: pixels lost; "
                "allowed: 8 to 64"
            ),
        ),
        (
            [{"name": "x", "inference": {"window": [64, 64], "stride": [32, 7]}}],
            (
                "/evaluation/modes/0/inference/stride/1: 7 is below 1/8 of the window's width, 64: "
                "each pixel in 9 windows; allowed: 8 to 64"
            ),
        ),
        (
            [{"name": "x", "inference": "slide"}],
            (
                '/evaluation/modes/0/inference: "slide" is not known; '
                'allowed: "whole" or an object with window and stride'
            ),
        ),
        (
            [{"name": "Two scales"}],
            (
                '/evaluation/modes/0/name: "Two scales" has characters that are not allowed, '
                "or not in this order; "
                "allowed: a string matching ^[a-z][a-z0-9_]{0,39}$"
            ),
        ),
    ],
)
def test_modes_that_cannot_be_meant(modes: list[Any], told: str) -> None:
    """What is wrong is told with its place and what is allowed."""
    assert problems(*modes) == [told]


def test_a_model_of_one_size_takes_its_windows_alone() -> None:
    """Whole views and other windows are refused; scales of its own windows are not."""
    parsed("multi_scale", {**WINDOWS, "scales": [0.5, 1.0]}, **BEIT)
    [whole] = problems({"name": "x", "inference": "whole"}, **BEIT)
    assert whole.startswith("/evaluation/modes/0/inference: beit")
    [other] = problems({"name": "x", "inference": {"window": [32, 64], "stride": [32, 32]}}, **BEIT)
    assert other.startswith("/evaluation/modes/0/inference/window: ")


def test_modes_of_requests() -> None:
    """A request's modes are judged in the same way."""
    request = parse_followup({"kind": "evaluation", "modes": ["multi_scale_native"]})
    assert isinstance(request, EvaluationRequest)
    for document, told in (
        ({"kind": "evaluation", "modes": [{"name": "single_scale"}]}, "/modes/0/name: "),
        ({"kind": "prediction", "mode": {"name": "x", "scales": [2, 2]}}, "/mode/scales/1: 2 is in the list"),
    ):
        with pytest.raises(SpecError) as caught:
            parse_followup(document)
        [problem] = caught.value.problems
        assert str(problem).startswith(told)


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"modes": ["multi_scale", WINDOWS]}, []),
        ({"modes": ["multi_scale", {"name": "x", "inference": "whole"}]}, ["/modes/1/inference: beit"]),
        ({"kind": "prediction", "mode": {"name": "x", "inference": "whole"}}, ["/mode/inference: beit"]),
        ({"kind": "prediction"}, []),
        ({"kind": "export", "formats": ["onnx"]}, []),
    ],
)
def test_modes_that_the_experiments_model_does_not_take(request_: dict[str, Any], told: list[str]) -> None:
    """A request says nothing of the model; the experiment's spec does, and the pointer is the request's."""
    request = parse_followup({"kind": "evaluation", **request_})
    found = [str(problem) for problem in problems_for(request, parsed("single_scale", **BEIT))]
    assert len(found) == len(told)
    assert all(problem.startswith(start) for problem, start in zip(found, told, strict=True))
    assert not problems_for(request, parsed("single_scale"))


def test_a_scale_that_the_experiments_size_undoes() -> None:
    """Where the experiment resizes to a size of its own, another data set's scale would be passed over."""
    folder = {"name": "folder", "root": "/data", "scale": 0.5}
    request = parse_followup({"kind": "evaluation", "dataset": folder})
    sized = parse_spec(spec_document(augmentation={"test_size": [64, 32]}))
    [problem] = problems_for(request, sized)
    told = "0.5 changes nothing: the experiment's /augmentation/test_size is [64, 32]; allowed: 1"
    assert str(problem) == f"/dataset/scale: {told}"
    assert not problems_for(request, parsed("single_scale"))


@pytest.mark.parametrize(
    ("document", "pointers"),
    [
        ({"class_map": {"a": "b"}}, ["/class_map"]),
        ({"resources": {"workers": 2, "gpus_per_worker": 0.5}}, ["/resources/workers"]),
        ({"kind": "export", "formats": ["onnx", "onnx"]}, ["/formats"]),
        (
            {"dataset": {"name": "folder", "root": "/d", "zero_is_void": True, "label_map": {"1": 0}}},
            ["/dataset/zero_is_void", "/dataset/label_map"],
        ),
    ],
)
def test_fields_of_a_request_that_contradict_each_other(
    document: dict[str, Any], pointers: list[str]
) -> None:
    """Are told by whoever reads it: the service, and the job that is run by hand."""
    with pytest.raises(SpecError) as caught:
        parse_followup({"kind": "evaluation", **document})
    assert [problem.pointer for problem in caught.value.problems][: len(pointers)] == pointers
