"""The form of a sweep: its fields as a document, and each mistake at the field that it is in."""

from __future__ import annotations

import re
from html import unescape

import pytest

from service.api.web.asked import DOCUMENT, by_field
from service.api.web.asked_sweep import asked_for_sweep, pointers_of
from sweeps.document.expand import expand
from sweeps.document.spec import parse_sweep
from tests.unit.service.api.web.test_doors import SAME, proof
from tests.unit.service.conftest import TestClient
from trainer.base.errors import Problem

BASE = {"dataset": "digit_scenes", "model": "small", "method": "region_rebalance", "iterations": "100"}
FILLED = {**BASE, "name": "lambda", "seeds": "0, 1", "axis2": "/method/lambda", "values2": "0, 0.3"}


def test_fields_are_a_document() -> None:
    """An empty line of axes is none; what has no field is JSON."""
    document, problems = asked_for_sweep({**FILLED, DOCUMENT: '{"limits": {"concurrent_trials": 2}}'})
    assert problems == ()
    spec = parse_sweep(document)
    assert [each.row for each in expand(spec)] == ["lambda=0", "lambda=0.3"] * 2
    assert (spec.name, spec.seeds, spec.limits.concurrent_trials) == ("lambda", (0, 1), 2)


@pytest.mark.parametrize(
    ("changed", "field", "told"),
    [
        ({"seeds": "0, one"}, "seeds", "is no list; allowed: whole numbers with commas"),
        ({"values2": "small"}, "values2", "values as JSON with commas"),
        ({"values2": "[" * 5000}, "values2", "values as JSON with commas"),
        ({DOCUMENT: '{"seeds": [3]}'}, "seeds", "is in the JSON below as well"),
        ({DOCUMENT: '{"axes": []}'}, "axis2", "is in the JSON below as well"),
        ({DOCUMENT: '{"base": {"model": "small"}}'}, "model", "is in the JSON below as well"),
        ({DOCUMENT: "{"}, DOCUMENT, "not JSON"),
    ],
)
def test_what_cannot_be_put_together(changed: dict[str, str], field: str, told: str) -> None:
    fields = {**FILLED, **changed}
    found = by_field(asked_for_sweep(fields).problems, pointers_of(fields))
    assert told in " ".join(found[field])


@pytest.mark.parametrize(
    ("pointer", "field"),
    [
        ("/axes/0/grid/1", "values2"),
        ("/axes/0/pointer", "axis2"),
        ("/axes/0", "axis2"),
        ("/base/dataset", "dataset"),
        ("/base/schedule/iterations", "iterations"),
        ("/base/weights", DOCUMENT),
        ("/seeds/1", "seeds"),
        ("", DOCUMENT),
    ],
)
def test_a_problem_stands_at_its_field(pointer: str, field: str) -> None:
    """The first axis of the document may be in the second line."""
    assert list(by_field([Problem(pointer, "wrong", "right")], pointers_of(FILLED))) == [field]


def test_it_is_checked_listed_and_stored_once(client: TestClient) -> None:
    """What is missing is told at its field; its trials are listed; sent twice it stores one."""
    here = "/ui/submit/sweep"
    (once,) = re.findall(r'name="once" value="([^"]+)"', client.get(here).text)
    form = {**proof(client, here), "once": once, **FILLED}
    empty = client.post(here, data={**form, "dataset": "", "values2": "0, -1"}, headers=SAME)
    assert empty.status_code == 422
    assert 'aria-describedby="dataset-problem"' in empty.text
    refused = unescape(client.post(here, data={**form, "values2": "0, -1"}, headers=SAME).text)
    assert "/method/lambda: -1 is below the minimum" in refused
    listed = client.post(here, data={**form, "check": "1"}, headers=SAME)
    assert (listed.status_code, listed.text.count("<bdi>lambda=0.3</bdi>")) == (200, 2)
    assert client.get("/sweeps").json()["items"] == []
    sent = [client.post(here, data=form, headers=SAME, follow_redirects=False) for _ in range(2)]
    assert sent[0].headers["location"] == sent[1].headers["location"]
    (stored,) = client.get("/sweeps").json()["items"]
    like = client.get(here, params={"like": stored["id"]}).text
    assert "/method/lambda" in unescape(like)
