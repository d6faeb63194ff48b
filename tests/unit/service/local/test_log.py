"""Where an instance's log goes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.local.api_server import log_to


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """The root logger's, as they were."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = before, level


def test_to_a_file_or_to_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One event, one line, its fields after the message; a container's engine keeps what is on stderr."""
    handler = log_to(None)
    logging.getLogger("a.name").info("event", extra={"experiment": "e1"})
    handler.close()
    assert capsys.readouterr().err.endswith(" INFO a.name: event experiment=e1\n")
    handler = log_to(tmp_path / "logs" / "service.log")
    logging.getLogger("a.name").info("another")
    handler.close()
    assert (tmp_path / "logs" / "service.log").read_text().endswith(" INFO a.name: another\n")
