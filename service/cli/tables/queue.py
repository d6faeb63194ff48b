"""The queue and its quotas, as tables."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from service.cli.tables.experiments import NONE, age, cell, make_table
from trainer.base.schema_words import counted
from trainer.spec.resources import priority_name

if TYPE_CHECKING:
    from rich.table import Table

    from service.shared.queue.schemas import AccountsPublic, AmountPublic, QueuePublic


def queue_table(found: QueuePublic, now: datetime) -> Table:
    """One row for each that waits, in the order of their turns."""
    table = make_table("#", "id", "name", "user", "priority", "asks for", "waits", "because")
    table.columns[0].justify = "right"
    for number in (2, 7):
        table.columns[number].no_wrap = False
    for each in found.items:
        why = each.waiting
        told = f"{why.reason}; {why.would_run}" if why.would_run else why.reason
        user = cell(each.user or NONE) + (f" ({cell(each.project)})" if each.project else "")
        table.add_row(
            str(each.position),
            each.id,
            cell(each.name),
            user,
            priority_name(each.priority),
            asked_text(each.asks),
            age(why.since, now),
            cell(told),
        )
    return table


def queue_text(found: QueuePublic) -> str:
    """One line: how many, and what is free."""
    kinds = zip(("GPU", "CPU", "place"), _numbers(found.free), _numbers(found.capacity), strict=True)
    free = [
        f"{left:g} of {counted(there, kind)}"
        for kind, left, there in kinds
        if there is not None and left is not None
    ]
    return f"{found.waiting} wait, {found.running} run; free: {', '.join(free)}"


def quotas_table(found: AccountsPublic) -> Table:
    """One row for each user and project."""
    table = make_table("account", "GPUs", "CPUs", "at once", "share", "weight", "running", "waiting")
    for column in table.columns[1:]:
        column.justify = "right"
    for each in found.items:
        used, quota = _numbers(each.used), _numbers(each.quota)
        name = f"{each.kind} {cell(each.name)}" if each.name else f"{each.kind}s without a token"
        kinds = [_of(one, most) for one, most in zip(used, quota, strict=True)]
        share = f"{100 * each.share:.0f} %"
        table.add_row(name, *kinds, share, f"{each.weight:g}", str(each.running), str(each.waiting))
    return table


def asked_text(asks: AmountPublic) -> str:
    """GPUs and CPUs, those that there are."""
    pairs = ((asks.gpus, "GPU"), (asks.cpus, "CPU"))
    return ", ".join(counted(number, kind) for number, kind in pairs if number) or NONE


def _numbers(amount: AmountPublic) -> tuple[float | None, float | None, float | None]:
    return amount.gpus, amount.cpus, amount.places


def _of(used: float | None, most: float | None) -> str:
    return f"{used or 0:g}" + (f" of {most:g}" if most is not None else "")
