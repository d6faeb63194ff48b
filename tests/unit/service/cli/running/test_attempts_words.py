"""Attempts as a terminal shows them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from service.cli.tables.attempts import attempts_table
from service.shared.attempt_schemas import AttemptPublic

AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ended", "job", "shown"),
    [(None, "running", "running"), (AT, "running", ""), (AT, "failed", "failed"), (AT, None, "")],
)
def test_an_attempt_that_ended_shows_no_job_that_runs(ended: datetime | None, job: str, shown: str) -> None:
    """Its report came before the cluster said so: that word would contradict its end."""
    each = AttemptPublic(attempt=1, job_id="e1-1", submitted_at=AT, ended_at=ended, job_status=job)
    (column,) = [each for each in attempts_table([each]).columns if each.header == "job"]
    assert list(column.cells) == [shown]
