"""`rebalance queue`, `quotas` and `show`: who waits, for what, and whose it is."""

from __future__ import annotations

import json

import pytest

from service.cli.main import main
from service.client import RebalanceClient
from service.shared.queue.schemas import QueuePublic
from tests.data_factories import spec_document
from tests.unit.service.served import Service

Capture = pytest.CaptureFixture[str]


def test_the_queue_as_a_table(service: Service, capsys: Capture) -> None:
    """Who waits, for what and why; below it how many, and what is free."""
    service.backend.down = True  # nothing is submitted
    with RebalanceClient(service.url) as client:
        document = {**spec_document(), "scheduling": {"priority": "high", "project": "roads"}}
        posted = client.submit(document)
    assert main(["queue", "--api", service.url]) == 0
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if posted.id in line)
    assert "high" in row
    assert "(roads)" in row
    assert "1 CPU" in row
    assert "wait, 0 run; free: 1000 of 1,000 places" in out
    assert main(["show", posted.id, "--api", service.url]) == 0
    assert "project roads, priority high" in capsys.readouterr().out


def test_the_queue_as_json(service: Service, capsys: Capture) -> None:
    """As the API answers it."""
    assert main(["queue", "--json", "--limit", "1", "--api", service.url]) == 0
    found = QueuePublic.model_validate(json.loads(capsys.readouterr().out))
    assert len(found.items) <= 1


def test_quotas_as_a_table(service: Service, capsys: Capture) -> None:
    """An open service has one account, of all that show no token."""
    service.backend.down = True
    with RebalanceClient(service.url) as client:
        client.submit(spec_document())
    assert main(["quotas", "--api", service.url]) == 0
    assert "users without a token" in capsys.readouterr().out


def test_a_limit_that_cannot_be_meant(capsys: Capture) -> None:
    """Refused before anybody is asked."""
    with pytest.raises(SystemExit):
        main(["queue", "--limit", "1001"])
    assert "allowed: 1 to 1000" in capsys.readouterr().err
