"""Notices of several runs as notes under a table: each once, with whose it is where not all have it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trainer.base.text import first_names
from trainer.storage.notices import Notice
from trainer.storage.tracking import CODE

_MOST_TOLD = 20  # notes


def notice_notes(noticed: Iterable[tuple[str, Sequence[Notice]]]) -> tuple[str, ...]:
    """A line for each notice, in the order in which they first occur; of very many the first ones.

    Those of MLflow are left out: it may have everything by now, and results do not depend on it.

    Args:
        noticed: what each run, or row of runs, is called, with its notices; a name may come more than once.
    """
    names: dict[str, None] = {}
    whose: dict[Notice, dict[str, None]] = {}
    for name, notices in noticed:
        names[name] = None
        for notice in notices:
            if notice.code == CODE:
                continue
            whose.setdefault(notice, {})[name] = None
    told = [
        str(notice) if len(having) == len(names) else f"{first_names(list(having))}: {notice}"
        for notice, having in whose.items()
    ]
    if len(told) > _MOST_TOLD:
        return (*told[:_MOST_TOLD], f"{len(told) - _MOST_TOLD:,} more notices are in the reports")
    return tuple(told)
