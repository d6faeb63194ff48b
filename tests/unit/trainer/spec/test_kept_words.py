"""Which checkpoints are kept, and how often a training is scored: what a spec may say, and what it means."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sweeps.document.spec import parse_sweep
from tests.factories import tiny_document
from trainer.base.errors import SpecError
from trainer.spec.evaluation import usual_interval
from trainer.spec.spec import canonical_json, parse_spec, spec_hash


def test_what_is_left_out_leaves_no_trace() -> None:
    """Words of checkpoints at their defaults are in no stored document, and in no hash whatever they are."""
    plain = parse_spec(tiny_document())
    usual = {"keep_last": 2, "best": "mIoU", "track": []}
    assert canonical_json(parse_spec(tiny_document(checkpoints=usual))) == canonical_json(plain)
    assert "checkpoints" not in json.loads(canonical_json(plain))
    other = parse_spec(tiny_document(checkpoints={"keep_last": 5, "track": ["best", "last"]}))
    assert spec_hash(other) == spec_hash(plain)
    kept = json.loads(canonical_json(other))["checkpoints"]
    assert kept == {"keep_last": 5, "best": "mIoU", "track": ["best", "last"]}
    assert parse_spec(json.loads(canonical_json(other))) == other


@pytest.mark.parametrize(
    ("checkpoints", "told"),
    [
        (
            {"keep_last": 0},
            "/checkpoints/keep_last: 0 is below the minimum; allowed: an integer, 1 <= keep_last <= 100",
        ),
        (
            {"best": None, "track": ["best"]},
            "/checkpoints/track: 'best' is not kept: /checkpoints/best is null; allowed: 'last', or a best",
        ),
        ({"track": ["last", "last"]}, "/checkpoints/track: 'last' is there twice; allowed: each word once"),
    ],
)
def test_words_that_cannot_be_meant(checkpoints: dict[str, Any], told: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(tiny_document(checkpoints=checkpoints))
    assert [str(problem) for problem in caught.value.problems] == [told]


@pytest.mark.parametrize(
    ("iterations", "interval", "meant"),
    [
        (9_999, None, 9_999),
        (10_000, None, 1_000),
        (12_345, None, 1_235),
        (160_000, None, 16_000),
        (160_000, 5_000, 5_000),
        (160_000, 160_000, 160_000),
    ],
)
def test_long_trainings_are_scored_on_the_way(iterations: int, interval: int | None, meant: int) -> None:
    """Ten times at most where nobody says, which is mmsegmentation's way; short ones at their end alone."""
    schedule = {"iterations": iterations, "batch_size": 4}
    spec = parse_spec(tiny_document(schedule=schedule, evaluation={"interval": interval}))
    assert spec.evaluation_interval == meant
    assert spec.evaluation.interval == interval
    assert -(-iterations // usual_interval(iterations)) <= 10


def test_a_scheduler_judges_by_the_usual_interval() -> None:
    """A long sweep needs no interval to be judged."""
    base = tiny_document(schedule={"iterations": 20_000, "batch_size": 4})
    axes = [{"pointer": "/schedule/learning_rate", "grid": [0.1, 0.2]}]
    assert parse_sweep({"base": base, "axes": axes, "scheduler": "asha"}).base.evaluation_interval == 2_000
