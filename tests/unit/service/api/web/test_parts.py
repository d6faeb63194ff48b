"""What pages are made of: the form's document, times in words, curves, limits, differences."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.web.asked import DOCUMENT, POINTERS, asked_for, by_field, field_of
from service.api.web.curves import curves
from service.api.web.differences import differences
from service.api.web.followed import log_tail, seconds_left
from service.api.web.limits import MOST_WRONG, WINDOW_SECONDS, WrongTokens
from service.api.web.render import static_file
from service.api.web.words import compact, duration, pretty, time_text
from service.shared.settings import Settings
from tests.unit.service.conftest import START
from trainer.base.errors import Problem, SpecError
from trainer.base.text import size
from trainer.spec.spec import parse_spec

FILLED = {
    "name": "n",
    "dataset": "digit_scenes",
    "model": "small",
    "method": "region_rebalance",
    "lambda": "0.25",
    "iterations": "70",
    "seed": "3",
}


def test_fields_become_the_document_that_the_api_takes() -> None:
    """Each at its place, numbers as numbers; what is empty says nothing."""
    document, problems = asked_for({**FILLED, "recipe": " ", DOCUMENT: '{"tags": {"a": "b"}}'})
    assert problems == ()
    spec = parse_spec(document)
    assert (spec.name, spec.seed, spec.schedule.iterations, spec.tags) == ("n", 3, 70, {"a": "b"})
    assert spec.method.model_dump(by_alias=True)["lambda"] == 0.25


def test_a_model_of_mmsegmentation_is_named_as_the_spec_has_it() -> None:
    assert asked_for({"model": "deeplabv3plus_r50"}).document == {"model": {"mmseg": "deeplabv3plus_r50"}}


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ("[1]", DOCUMENT),
        ("{", DOCUMENT),
        ('{"seed": 4}', "seed"),
        ('{"dataset": "digit_scenes"}', "dataset"),
        ('{"method": {"lambda": 1}}', "lambda"),
    ],
)
def test_what_cannot_be_meant_is_told_at_its_field(document: str, field: str) -> None:
    """JSON that is none, and what is said in two places."""
    told = by_field(asked_for({**FILLED, DOCUMENT: document}).problems)
    assert list(told) == [field]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"seed": "-1"}, "seed"),
        ({"seed": "one"}, "seed"),
        ({"iterations": "1.5"}, "iterations"),
        ({"lambda": "1e999"}, "lambda"),
        ({"lambda": "²"}, "lambda"),
        ({"model": "none such"}, "model"),
        ({"dataset": "none such"}, "dataset"),
        ({"method": ""}, "method"),
        ({"recipe": "none/such"}, "recipe"),
        ({"name": "x" * 201}, "name"),
        ({DOCUMENT: '{"schedule": {"batch_size": 0}}'}, DOCUMENT),
        ({DOCUMENT: '{"unknown": 1}'}, DOCUMENT),
    ],
)
def test_the_specs_own_refusals_are_told_at_their_fields(changed: dict[str, str], field: str) -> None:
    """Whatever a field holds, the spec says what is allowed there, and it is said where it was typed."""
    asked = asked_for({**FILLED, **changed})
    with pytest.raises(SpecError) as refused:
        parse_spec(asked.document)
    told = by_field(refused.value.problems)
    assert field in told
    assert "allowed" in told[field][0]


@given(st.dictionaries(st.sampled_from([*POINTERS, DOCUMENT]), st.text(max_size=30)))
def test_any_text_is_a_document_or_a_problem(fields: dict[str, str]) -> None:
    """Nothing that is typed breaks the form, and what comes out can be sent."""
    asked = asked_for(fields)
    assert all(field_of(each.pointer) in (*POINTERS, DOCUMENT) for each in asked.problems)
    json.dumps(asked.document, allow_nan=False)


@pytest.mark.parametrize(
    ("pointer", "field"),
    [
        ("", DOCUMENT),
        ("/name", "name"),
        ("/dataset", "dataset"),
        ("/dataset/root", "root"),
        ("/dataset/scale", DOCUMENT),
        ("/model/mmseg", "model"),
        ("/method", "method"),
        ("/method/lambda", "lambda"),
        ("/schedule/iterations", "iterations"),
        ("/schedule/power", DOCUMENT),
        ("/names", DOCUMENT),
    ],
)
def test_each_pointer_has_its_field(pointer: str, field: str) -> None:
    assert field_of(pointer) == field
    assert list(by_field([Problem(pointer, "got", "allowed")])) == [field]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (None, ""),
        (-3, "0 s"),
        (59.4, "59 s"),
        (61, "2 min"),
        (3600, "1 h 00 min"),
        (7501, "2 h 06 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_durations_in_words(seconds: float | None, told: str) -> None:
    assert duration(seconds) == told


def test_other_words() -> None:
    """Times are UTC, sizes in powers of 1024, and no hidden letter gets into JSON that is shown."""
    assert time_text(datetime(2026, 1, 2, 3, 4, tzinfo=UTC)) == "2026-01-02 03:04 UTC"
    assert (size(10), size(2048), size(5 << 30)) == ("10 B", "2.0 KiB", "5.0 GiB")
    assert (compact(None), compact({"a": "\u202e"})) == ("", '{"a": "\\u202e"}')
    assert pretty({"a": [1]}).splitlines()[0] == "{"


def _line(kind: str, iteration: Any, **measured: Any) -> dict[str, Any]:
    return {"kind": kind, "iteration": iteration, **measured}


def test_curves_are_of_what_was_measured() -> None:
    """Loss and mIoU, each with its ends in words; a later attempt's value replaces an earlier one's."""
    lines = [
        _line("train", 1, loss=9.0),
        _line("train", 1, loss=2.0),
        _line("train", 51, loss=1.0),
        _line("train", 101),
        _line("train", None, loss=3.0),
        _line("event", 60, message="loss"),
        _line("eval", 50, mIoU=10.0),
        _line("eval", 100, mIoU=20.5),
    ]
    loss, miou = curves(lines)
    assert loss.told == "loss by iteration: 2 at 1, 1 at 51"
    assert miou.told == "mIoU by iteration: 10 at 50, 20.5 at 100"
    assert loss.svg.startswith("<svg")
    assert "style=" not in loss.svg  # the page's policy refuses it
    style = (static_file("page.css") or b"").decode()
    painted = re.findall(r' ((?:stroke|fill)="#[0-9a-f]+")', re.sub("<text[^>]*>", "", loss.svg))
    assert painted
    assert all(f".drawn [{each}]" in style for each in painted)  # light and dark
    assert curves(lines[:1]) == ()


def test_a_long_curve_keeps_its_last_point() -> None:
    """Some hundred points are drawn, however many there are."""
    (loss,) = curves([_line("train", n, loss=float(n)) for n in range(10_001)])
    assert loss.told.endswith("at 10,000")
    assert len(loss.svg) < 40_000


def test_time_left_is_until_the_expected_end() -> None:
    """Never less than none; nothing where nothing tells."""
    assert seconds_left(START + timedelta(seconds=90), START) == 90
    assert seconds_left(START - timedelta(seconds=90), START) == 0
    assert seconds_left(None, START) is None


def test_the_end_of_a_log_is_whole_lines(settings: Settings) -> None:
    """Over all attempts; hidden letters are shown as escapes."""
    for attempt, text in ((1, "one\ntwo ü\n"), (2, "three \x1b[31m\n")):
        settings.layout.attempt("e1", attempt).log.write(text)
    here = [settings.layout.attempt("e1", each) for each in (1, 2)]
    assert log_tail(here) == "one\ntwo ü\nthree \\u001b[31m"
    assert log_tail(here, 18) == "three \\u001b[31m"
    assert log_tail([]) == ""


def test_wrong_tokens_are_counted_by_address_for_a_while() -> None:
    """One address waits for its oldest to be forgotten, others do not wait; memory has a bound."""
    now = 0.0
    wrong = WrongTokens(clock=lambda: now)
    for _ in range(MOST_WRONG):
        assert wrong.wait_seconds("a") == 0
        wrong.add("a")
    assert wrong.wait_seconds("a") == WINDOW_SECONDS
    assert wrong.wait_seconds("b") == 0
    now = WINDOW_SECONDS
    assert wrong.wait_seconds("a") == 0
    for number in range(5000):
        wrong.add(f"c{number}")
    assert len(wrong._seen) <= 1000


def test_differences_are_told_field_by_field() -> None:
    """What only one has, lists as a whole, true apart from 1, 1.0 not apart from it."""
    first = {"a": 1, "b": {"c": [1, 2], "d/e": True}, "only": 0}
    second = {"a": 1.0, "b": {"c": [2, 1], "d/e": 1}, "new": None}
    assert [tuple(each) for each in differences(first, second)] == [
        ("/b/c", [1, 2], [2, 1]),
        ("/b/d~1e", True, 1),
        ("/only", 0, None),
    ]
    assert list(differences(first, first)) == []
