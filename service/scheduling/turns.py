"""In which order those that wait are looked at: priority, then fair share, then age.

Fair sharing fills step by step, as dominant resource fairness does (Ghodsi et al., NSDI 2011): the turn
is always that of whose accounts have been served least, and what has just been admitted counts at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from heapq import heapify, heappop, heapreplace

from service.scheduling.snapshot import Snapshot, Waiting
from service.scheduling.usage import Usage

_Key = tuple[float, datetime, str]


def turns(snapshot: Snapshot, waiting: Sequence[Waiting], usage: Usage) -> Iterator[Waiting]:
    """Each of `waiting` once. What the caller admits goes into `usage` before the next is asked for.

    First those that have waited for `ageing` while their user holds less than a fair share: so no stream of
    higher priorities starves anybody, and a backlog of one user does not overtake the others by its age.
    Then by priority. Shares only grow meanwhile, so who has left the first group does not come back.
    """
    since = snapshot.now - snapshot.rules.ageing
    given: set[str] = set()
    for each in _by_share((one for one in waiting if one.queued_at <= since), usage, only_below_fair=True):
        given.add(each.id)
        yield each
    classes: defaultdict[int, list[Waiting]] = defaultdict(list)
    for one in waiting:
        if one.id not in given:
            classes[one.priority].append(one)
    for priority in sorted(classes, reverse=True):
        yield from _by_share(classes[priority], usage)


def _by_share(
    waiting: Iterable[Waiting], usage: Usage, *, only_below_fair: bool = False
) -> Iterator[Waiting]:
    """Those with the smallest share first, of equal ones the oldest.

    A line for each pair of user and project, whose heads compete. Shares in the heap may be old, but never
    too large: a head whose share has grown goes back with the new one.
    """
    lines: defaultdict[tuple[str, str], list[Waiting]] = defaultdict(list)
    for each in waiting:
        lines[each.user, each.project].append(each)
    for line in lines.values():
        line.sort(key=lambda one: (one.submitted_at, one.id), reverse=True)
    heap = [(*_key(line[-1], usage), line) for line in lines.values()]
    heapify(heap)
    while heap:
        share, at, identifier, line = heap[0]
        if only_below_fair and not usage.below_fair(line[-1]):
            heappop(heap)
            continue
        current = _key(line[-1], usage)
        if current != (share, at, identifier):
            heapreplace(heap, (*current, line))
            continue
        yield line.pop()
        if line:
            heapreplace(heap, (*_key(line[-1], usage), line))
        else:
            heappop(heap)


def _key(one: Waiting, usage: Usage) -> _Key:
    return usage.share(one), one.submitted_at, one.id
