"""Attempts as a table for a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.table import Table

from service.cli.tables.experiments import NONE, cell, events_table, make_table

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import Console

    from service.shared.attempt_schemas import AttemptPublic
    from service.shared.schemas import EventPublic


def print_history(console: Console, attempts: Iterable[AttemptPublic], events: Iterable[EventPublic]) -> None:
    """Each try, if there was any, and what happened."""
    if tries := list(attempts):
        console.print(attempts_table(tries))
    console.print(events_table(list(events)))


def attempts_table(found: Iterable[AttemptPublic]) -> Table:
    """A row for each try: where it ran, from when to when, and what ended it."""
    table = make_table(
        "attempt", "host", "submitted", "ended", "job", "exit", "error", "counted", fold=(1, 6)
    )
    for each in found:
        table.add_row(
            str(each.attempt),
            cell(each.host or NONE),
            _at(each.submitted_at),
            _at(each.ended_at),
            _job(each),
            "" if each.exit_code is None else str(each.exit_code),
            cell(each.error_type or ""),
            "yes" if each.counted else "",
        )
    return table


def _job(attempt: AttemptPublic) -> str:
    """How the cluster says that the job ended; nothing where its report came before that."""
    still_went_on = attempt.ended_at is not None and attempt.job_status in ("pending", "running")
    return "" if still_went_on else attempt.job_status or ""


def _at(moment: datetime | None) -> str:
    return NONE if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"
