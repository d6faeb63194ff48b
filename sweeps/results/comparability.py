"""What the rows of a table were measured on, and what is said under it about what is missing or unlike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from trainer.base.text import first_names
from trainer.results.comparability import ClassKey, Ground, why_apart
from trainer.results.metrics import GROUPS
from trainer.results.report import Scores
from trainer.spec.evaluation import ScoreName

_FEW_SEEDS = 5  # below it a paired test is said to rest on few


@dataclass(frozen=True)
class Measured:
    """What the trials of one row scored in one mode, and on what.

    `grounds`: each that occurs, by seed; more than one where the data changed between trials.
    """

    scores: dict[int, Scores]  # by seed, ascending
    unfinished: int
    stopped: int
    repeated: int  # trials whose seed another of the row had
    grounds: tuple[Ground, ...]

    def why_apart(self, reference: Measured, metric: ScoreName = "mIoU") -> str | None:
        """Why the metric must not be subtracted from the reference's; None where it may, or nothing is there.

        Means are taken over all seeds of a row: one that was scored otherwise spoils them.
        """
        if not (self.grounds and reference.grounds):
            return None
        first, *others = reference.grounds
        if any(why_apart(ground, first, metric) for ground in others):
            return "the reference's own trials differ in their labels"
        reasons = (why_apart(ground, first, metric) for ground in self.grounds)
        return next((reason for reason in reasons if reason is not None), None)


def class_lists(found: Mapping[str, Measured]) -> frozenset[tuple[ClassKey, ...]]:
    """The lists of classes that rows were scored on: one, if all is well."""
    return frozenset(ground.classes for one in found.values() for ground in one.grounds)


def unlike(found: Mapping[str, Measured], reference: str, metric: ScoreName) -> Iterator[str]:
    """Notes on rows that cannot be compared with the reference."""
    base = found.get(reference)
    if base is not None and base.scores:
        reasons = {row: one.why_apart(base) for row, one in found.items() if row != reference}
        apart = [f"{row} ({reason})" for row, reason in reasons.items() if reason is not None]
        if apart:
            yield f"scored on other labels than {reference}, so without Δ and p: {first_names(apart, 'rows')}"
        regrouped = [row for row, one in found.items() if _regrouped(one, base)]
        if regrouped:
            without = ", so without Δ and p" if metric.startswith(GROUPS) else ""
            which = first_names(regrouped, "rows")
            yield f"head, body and tail are other classes than for {reference}{without}: {which}"
    if len(class_lists(found)) > 1:
        yield "rows differ in their classes, so none are listed"


def _regrouped(one: Measured, reference: Measured) -> bool:
    """Whether a row of the reference's classes has them in other groups."""
    mine, theirs = ({(each.classes, each.groups) for each in row.grounds} for row in (one, reference))
    return mine != theirs and {classes for classes, _ in mine} == {classes for classes, _ in theirs}


def missing(found: Mapping[str, Measured]) -> Iterator[str]:
    """Notes on what is not in the numbers, and on how few trials stand behind them."""
    told = {
        "trials without a result, not in the numbers": [one.unfinished for one in found.values()],
        "trials stopped early by the scheduler, not in the numbers": [one.stopped for one in found.values()],
        "repeats of a seed in its row, not in the numbers": [one.repeated for one in found.values()],
    }
    for what, counts in told.items():
        if some := [f"{row} {count}" for row, count in zip(found, counts, strict=True) if count]:
            yield f"{what}: {first_names(some, 'rows')}"
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
