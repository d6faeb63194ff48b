"""How an attempt ended, as the last line of its log says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data_factories import make_spec, make_task
from trainer.base.errors import Cancelled, DataError, Paused
from trainer.run.attempt import Attempt


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (Paused("paused at iteration 90"), "paused at iteration 90"),
        (Cancelled("stopped by SIGTERM"), "cancelled: Cancelled: stopped by SIGTERM"),
        (DataError("mask 7"), "failed: DataError: mask 7"),
    ],
)
def test_the_last_line_says_how_it_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], error: Exception, line: str
) -> None:
    """One that rests was neither cancelled nor has it failed."""
    attempt = Attempt(make_task(make_spec(), tmp_path))

    def work(_running: Attempt) -> None:
        raise error

    attempt.run(work)  # type: ignore[arg-type]
    assert capsys.readouterr().out.splitlines()[-1] == line
