"""Each request has a name: in its answer, in its problem, in every line that was logged for it."""

from __future__ import annotations

import json
import logging

import pytest
from fastapi.testclient import TestClient

from service.shared.log_lines import REQUEST_ID, formatter


def test_a_request_may_bring_its_name(client: TestClient) -> None:
    answer = client.get("/experiments/nothing", headers={"X-Request-ID": "trace-7.a"})
    assert answer.headers["x-request-id"] == "trace-7.a"
    assert answer.json()["instance"] == "urn:region-rebalance:request:trace-7.a"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "ä", 'a"b', "a;b"])
def test_a_name_that_would_spoil_a_log_is_not_taken(client: TestClient, given: str) -> None:
    answer = client.get("/healthz", headers={"X-Request-ID": given.encode()})
    made = answer.headers["x-request-id"]
    assert made != given
    assert len(made) == 16
    assert int(made, 16) >= 0


def test_the_line_of_a_request(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    """Without its query, which may hold what somebody takes for a secret."""
    with caplog.at_level(logging.INFO, logger="service.request"):
        client.get("/experiments?tag=password:1234")
    line = caplog.records[-1]
    assert (line.method, line.path, line.status) == ("GET", "/experiments", 200)  # type: ignore[attr-defined]
    assert "1234" not in str(line.__dict__)


def test_machines_that_ask_every_second_fill_no_log(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="service.request"):
        client.get("/healthz")
    assert not caplog.records


def test_a_json_line_is_one_object_whatever_is_in_it() -> None:
    record = logging.LogRecord("service", logging.INFO, "", 0, 'say "%s"\nnow', ("\udcff",), None)
    record.experiment = "e1"
    before = REQUEST_ID.set("r1")
    try:
        line = formatter("json").format(record)
    finally:
        REQUEST_ID.reset(before)
    assert "\n" not in line
    line.encode()
    found = json.loads(line)
    assert (found["experiment"], found["request"], found["level"]) == ("e1", "r1", "INFO")


def test_a_text_line_has_the_same() -> None:
    record = logging.LogRecord("service", logging.INFO, "", 0, "transition", (), None)
    record.experiment = "e1"
    assert formatter("text").format(record).endswith("INFO service: transition experiment=e1")
