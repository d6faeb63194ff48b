"""What goes, and who asked for what, as tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from service.cli.tables.experiments import NONE, cell, make_table
from trainer.base.schema_words import counted
from trainer.base.text import size

_SHOWN = 50

if TYPE_CHECKING:
    from rich.table import Table

    from service.shared.keeping.gc_schemas import GcPublic
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


def gc_table(found: GcPublic) -> Table:
    """One row for each thing that goes, the largest first."""
    table = make_table("kind", "in the storage", "frees", "because")
    table.columns[2].justify = "right"
    for number in (1, 3):
        table.columns[number].no_wrap = False
    listed = [each for each in found.items if found.dry_run or each.done or each.trouble]
    for each in listed[:_SHOWN]:
        why = f"{each.reason}; it could not be done: {each.trouble}" if each.trouble else each.reason
        table.add_row(each.kind, cell(each.path), size(each.bytes), cell(why))
    return table


def gc_lines(found: GcPublic) -> list[str]:
    """How much of each kind, and altogether."""
    verb = "would go" if found.dry_run else "went"
    lines = [f"{each.number:,} {each.kind}: {size(each.bytes)}" for each in found.kinds]
    number = sum(each.number for each in found.kinds)
    shown = f"; the {_SHOWN} largest are shown, --json has more" if number > _SHOWN else ""
    return [*lines, f"{counted(number, 'thing')} {verb}, which frees {size(found.bytes)}{shown}"]
