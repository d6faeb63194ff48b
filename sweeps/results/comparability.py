"""What the rows of a table were measured on, and what is said under it about what is missing or unlike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sweeps.document.spec import Metric
from trainer.results.metrics import GROUPS, Group
from trainer.results.report import Scores

_FEW_SEEDS = 5  # below it a paired test is said to rest on few
_MOST_NAMED = 8  # rows in a note


@dataclass(frozen=True)
class Measured:
    """What the trials of one row scored in one mode, and on what.

    `labels`: pictures, and every class with its labelled pixels; more than one where the data changed between
    trials. Rows of the same labels can be compared, whatever they were trained on, if the metric is not that
    of a group, or `groups`, the classes of head, body and tail, are the same too.
    """

    scores: dict[int, Scores]  # by seed, ascending
    unfinished: int
    stopped: int
    repeated: int  # trials whose seed another of the row had
    classes: frozenset[tuple[tuple[int, str], ...]]
    labels: frozenset[tuple[object, ...]]
    groups: frozenset[tuple[Group, ...]]

    def comparable(self, other: Measured, metric: Metric) -> bool:
        """Whether differences of the metric are differences between the trained models alone."""
        return self.labels == other.labels and (self.groups == other.groups or not metric.startswith(GROUPS))


def class_lists(found: Mapping[str, Measured]) -> frozenset[tuple[tuple[int, str], ...]]:
    """The lists of classes that rows were scored on: one, if all is well."""
    return frozenset[tuple[tuple[int, str], ...]]().union(*(one.classes for one in found.values()))


def unlike(found: Mapping[str, Measured], reference: str) -> Iterator[str]:
    """Notes on rows that cannot be compared with the reference."""
    base = found.get(reference)
    with_results = {row: one for row, one in found.items() if one.scores}
    if base is not None and base.scores:
        others = [row for row, one in with_results.items() if one.labels != base.labels]
        if others:
            yield f"scored on other labels than {reference}, so without Δ and p: {_some(others)}"
        regrouped = [row for row, one in with_results.items() if _regrouped(one, base)]
        if regrouped:
            yield f"head, body and tail are other classes than for {reference}: {_some(regrouped)}"
    if len(class_lists(found)) > 1:
        yield "rows differ in their classes, so none are listed"


def _regrouped(one: Measured, other: Measured) -> bool:
    return one.classes == other.classes and one.groups != other.groups


def missing(found: Mapping[str, Measured]) -> Iterator[str]:
    """Notes on what is not in the numbers, and on how few trials stand behind them."""
    told = {
        "trials without a result, not in the numbers": [one.unfinished for one in found.values()],
        "trials stopped early by the scheduler, not in the numbers": [one.stopped for one in found.values()],
        "repeats of a seed in its row, not in the numbers": [one.repeated for one in found.values()],
    }
    for what, counts in told.items():
        if some := [f"{row} {count}" for row, count in zip(found, counts, strict=True) if count]:
            yield f"{what}: {_some(some)}"
    most = max((len(one.scores) for one in found.values()), default=0)
    if most == 0:
        yield "no trial has a result"
    elif most == 1:
        yield "one seed: differences of a few points can be chance"


def few_seeds(shared: Sequence[int]) -> Iterator[str]:
    """A note where a p-value rests on few seeds; `shared` has their number for each p-value there is."""
    least = min(shared, default=_FEW_SEEDS)
    if least < _FEW_SEEDS:
        yield f"p rests on as few as {least} shared seeds: a hint, no more"


def _some(names: Sequence[str]) -> str:
    more = f", and {len(names) - _MOST_NAMED:,} more rows" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
