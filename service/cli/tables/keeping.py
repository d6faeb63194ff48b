"""Who asked for what, as a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from service.cli.tables.experiments import NONE, cell, make_table

if TYPE_CHECKING:
    from rich.table import Table

    from service.shared.keeping.schemas import DeedPublic


def audit_table(found: Iterable[DeedPublic]) -> Table:
    """One row for each change."""
    table = make_table("at (UTC)", "who", "did", "what", "id", "detail")
    table.columns[5].no_wrap = False
    for each in found:
        table.add_row(
            f"{each.at:%Y-%m-%d %H:%M:%S}",
            cell(each.actor or NONE),
            cell(each.action),
            cell(each.kind),
            cell(each.subject or NONE),
            cell(each.detail or ""),
        )
    return table
