"""Follow-ups and checkpoints as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from rich.table import Table

from service.cli.progress import COLOURS
from service.cli.tables.experiments import (
    age,
    cell,
    compact,
    headline_text,
    make_table,
    notice_text,
    number,
    waiting_text,
)

if TYPE_CHECKING:
    from rich.console import Console

    from service.shared.followup_schemas import CheckpointPublic, FollowupPublic


def evaluations_table(found: Iterable[FollowupPublic], now: datetime) -> Table:
    """One row for each mode of each evaluation."""
    table = make_table("id", "state", "checkpoint", "data set", "mode", "mIoU", "tail", "age")
    for column in table.columns[5:]:
        column.justify = "right"
    for each in found:
        dataset = each.request.get("dataset")
        named = "its own" if dataset is None else str(dataset.get("name", ""))
        about = (each.id, _state(each), cell(str(each.request.get("checkpoint"))), cell(named))
        scores = each.scores or {}
        for position, mode in enumerate(map(_name, each.request.get("modes", ()))):
            headline = scores.get(mode)
            values = ("", "") if headline is None else (number(headline.mIoU), number(headline.tail_mIoU))
            first = about if position == 0 else ("", "", "", "")
            table.add_row(*first, cell(mode), *values, age(each.created_at, now) if position == 0 else "")
    return table


def print_followup(console: Console, each: FollowupPublic, api: str) -> None:
    """Everything about one follow-up."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("id", each.id)
    grid.add_row("experiment", cell(each.experiment))
    grid.add_row("kind", each.kind)
    grid.add_row("state", _state(each) + (f", attempt {each.attempt}" if each.attempt > 1 else ""))
    if each.waiting:
        grid.add_row("waits", cell(waiting_text(each.waiting)))
    grid.add_row("request", cell(compact(each.request)))
    if each.error:
        grid.add_row("error", f"[red]{cell(each.error.type)}[/]: {cell(each.error.message)}")
    for notice in each.notices:
        grid.add_row("notice", cell(notice_text(notice)))
    for mode, headline in (each.scores or {}).items():
        grid.add_row(cell(mode), headline_text(headline))
    for name in ("report", "pictures", "files"):
        if (link := getattr(each.links, name)) is not None:
            grid.add_row(name, f"{api}{link}")
    if each.kind == "prediction":
        grid.add_row("labels", f"{api}{each.links.self}")
    console.print(grid)


def checkpoints_table(found: Iterable[CheckpointPublic], now: datetime) -> Table:
    """One row for each."""
    table = make_table("name", "iteration", "score", "MB", "age", right=1)
    for each in found:
        score = "" if each.score is None else f"{each.score.name} {number(each.score.value)}"
        best = ", the best" if each.best and each.name != "best" else ""
        table.add_row(
            cell(each.name) + best,
            "" if each.iteration is None else f"{each.iteration:,}",
            cell(score),
            f"{each.bytes / 1e6:,.1f}",
            age(each.written_at, now),
        )
    return table


def _state(each: FollowupPublic) -> str:
    asked = ", cancel requested" if each.cancel_requested_at and not each.state.ended else ""
    return f"[{COLOURS[each.state]}]{each.state}[/]{asked}"


def _name(mode: object) -> str:
    return str(mode.get("name", "")) if isinstance(mode, dict) else str(mode)
