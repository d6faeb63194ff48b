"""Which of those that run are stopped for one of higher priority."""

from __future__ import annotations

from collections.abc import Sequence

from service.scheduling.amounts import Amount, total
from service.scheduling.snapshot import Running, Snapshot, Waiting


def may_be_stopped(snapshot: Snapshot) -> list[Running]:
    """Those whose specs allow it, the least loss first: lowest priority, then begun last.

    Not those that have only just begun, and would get nowhere; nor those that began after long waiting, for
    which they would have to wait as long again.
    """
    rules = snapshot.rules
    found = [
        each
        for each in snapshot.running
        if each.preemptible
        and not each.leaving
        and snapshot.now - each.started_at >= rules.protected
        and each.started_at - each.queued_at < rules.ageing
    ]
    return sorted(found, key=lambda each: (each.priority, snapshot.now - each.started_at, each.id))


def victims(one: Waiting, there: Amount, candidates: Sequence[Running]) -> list[Running]:
    """Those of lower priority that have to go so that `one` fits, none where all of them would not do.

    Args:
        there: what is free, or will be soon.
        candidates: as `may_be_stopped` has them, less those who go already.
    """
    lower = [each for each in candidates if each.priority < one.priority]
    if not one.request.within(there.plus(total(each.request for each in lower))):
        return []
    chosen: list[Running] = []
    for each in lower:
        missing = one.request.beyond(there.plus(total(every.request for every in chosen)))
        if not any(missing):
            break
        if any(short and has for short, has in zip(missing, each.request, strict=True)):
            chosen.append(each)
    for each in reversed(chosen.copy()):  # who turned out not to be needed, the greatest loss first
        others = [every for every in chosen if every is not each]
        if one.request.within(there.plus(total(every.request for every in others))):
            chosen = others
    return chosen
