"""The words of how an experiment is queued: how they may be written, and that they change no training."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sweeps.document.spec import parse_sweep
from tests.data_factories import spec_document
from trainer.base.errors import SpecError
from trainer.spec.resources import Scheduling, priority_name
from trainer.spec.spec import canonical_json, parse_spec, spec_hash


def scheduled(**words: Any) -> dict[str, Any]:
    return {**spec_document(), "scheduling": words}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"priority": "high"}, {"priority": 50}),
        ({"priority": "low"}, {"priority": -50}),
        ({"priority": -100}, {"priority": -100}),
        ({"max_duration": "36h"}, {"max_duration": 129_600}),
        ({"max_wait": "1d2h3m4s"}, {"max_wait": 93_784}),
        ({"max_wait": 60}, {"max_wait": 60}),
        ({"project": "roads.2026_a-b"}, {"project": "roads.2026_a-b"}),
    ],
)
def test_words_mean_numbers(given: dict[str, Any], meant: dict[str, Any]) -> None:
    """What is stored is the number, which is read again as it is."""
    spec = parse_spec(scheduled(**given))
    assert spec.scheduling == Scheduling(**meant)
    assert parse_spec(json.loads(canonical_json(spec))) == spec


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"priority": "urgent"}, '"low", "normal", "high" or an integer, -100 <= priority <= 100'),
        ({"priority": 101}, "101 is above the maximum"),
        ({"max_duration": "3 hours"}, "such as 90m, 36h or 1d12h"),
        ({"max_duration": "0h"}, "is below the minimum"),
        ({"max_wait": "٣h"}, "such as 90m, 36h or 1d12h"),
        ({"max_wait": ""}, "such as 90m, 36h or 1d12h"),
        ({"max_duration": "9999d"}, "is above the maximum"),
        ({"project": "a b"}, "of letters, digits, '.', '_' and '-', a letter or digit first"),
        ({"preemptible": 1}, "true or false"),
        ({"owner": "ann"}, "the fields priority, project, max_duration, max_wait, preemptible"),
    ],
)
def test_what_cannot_be_meant_is_refused(given: dict[str, Any], said: str) -> None:
    """At its field, with what is allowed there."""
    with pytest.raises(SpecError) as caught:
        parse_spec(scheduled(**given))
    assert f"/scheduling/{next(iter(given))}: " in str(caught.value)
    assert said in str(caught.value)


def test_the_training_is_the_same() -> None:
    """Two specs that differ only in how they are queued have one hash; left out, nothing is stored of it."""
    plain, queued = parse_spec(spec_document()), parse_spec(scheduled(priority="high", max_duration="2h"))
    assert spec_hash(plain) == spec_hash(queued)
    assert "scheduling" not in canonical_json(plain)
    assert "scheduling" not in canonical_json(parse_spec(scheduled(priority="normal")))


def test_a_sweep_is_queued_as_a_whole() -> None:
    """Its own block counts. One in the base, or an axis over it, would be without effect, and is refused."""
    base = spec_document()
    sweep = parse_sweep({"base": base, "scheduling": {"priority": "low"}})
    assert sweep.scheduling.priority == -50
    assert "scheduling" not in parse_sweep({"base": base}).model_dump()
    axis = {"pointer": "/scheduling/priority", "grid": [1, 2]}
    with pytest.raises(SpecError) as caught:
        parse_sweep({"base": scheduled(priority=1), "axes": [axis]})
    assert [problem.pointer for problem in caught.value.problems] == ["/base/scheduling", "/axes/0/pointer"]


def test_names_of_priorities() -> None:
    """For people; a number between them stays one."""
    assert [priority_name(number) for number in (-50, 0, 50, 7)] == ["low", "normal", "high", "7"]
