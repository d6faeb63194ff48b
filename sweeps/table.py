"""The reports of a sweep as the table of a paper: a row for each setting, mean and spread over its seeds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from sweeps import statistics
from sweeps.spec import Metric
from trainer.metrics import GROUPS, Group
from trainer.report import HEADLINE, RunReport, Scores
from trainer.strict_model import StrictModel

_FEW_SEEDS = 5  # below it a paired test is said to rest on few
_MOST_NAMED = 8  # rows in a note


@dataclass(frozen=True)
class Entry:
    """One trial as the table sees it. `report` is None until it has ended."""

    row: str
    seed: int
    report: RunReport | None
    stopped: bool = False  # by the scheduler, before its last iteration


class Cell(StrictModel):
    """Percent, over the seeds that have a value. `std` is the sample's, None for fewer than two."""

    mean: float | None
    std: float | None
    values: tuple[float | None, ...] = Field(strict=False, description="In the order of the row's seeds.")


class Row(StrictModel):
    """One setting. `delta` and `p_value`: against the reference over the seeds that both have.

    Both are None, and `shared_seeds` is 0, for the reference itself and where other labels were scored.
    """

    row: str
    seeds: tuple[int, ...] = Field(strict=False, description="Those that completed.")
    unfinished: int = Field(description="Trials that failed, were cancelled or have not ended.")
    stopped: int = Field(description="Trials that the scheduler stopped; they are not in the numbers.")
    scores: dict[str, Cell]
    delta: float | None = Field(description="Mean difference of the metric, in points.")
    p_value: float | None = Field(description="Two-sided paired t-test; None where it says nothing.")
    shared_seeds: int
    published: float | None = Field(default=None, description="The paper's number, see the table's notes.")


class ClassRow(StrictModel):
    """IoU of one class, mean over seeds, and its difference to the reference's; in the order of the rows.

    A row that was scored on other labels than the reference has no difference.
    """

    id: int
    name: str
    group: Group
    iou: tuple[float | None, ...] = Field(strict=False)
    delta_iou: tuple[float | None, ...] = Field(strict=False)


class Block(StrictModel):
    """One evaluation mode."""

    mode: str
    rows: tuple[Row, ...] = Field(strict=False)
    classes: tuple[ClassRow, ...] = Field(strict=False, description="Empty where rows differ in them.")


class Table(StrictModel):
    """What a sweep measured."""

    name: str
    metric: Metric
    reference: str
    blocks: tuple[Block, ...] = Field(strict=False)
    notes: tuple[str, ...] = Field(default=(), strict=False)


def make_table(
    name: str,
    entries: Sequence[Entry],
    *,
    metric: Metric = "mIoU",
    reference: str | None = None,
    published: Mapping[str, float] | None = None,
    notes: Sequence[str] = (),
) -> Table:
    """Rows in the order in which they first occur in `entries`.

    Args:
        entries: the trials, at least one.
        reference: the row that differences are taken to; the first if left out.
        published: numbers of the paper by row, shown beside ours.
        notes: said under the table, before those about missing trials and about what is not comparable.
    """
    by_row: dict[str, list[Entry]] = {}
    for entry in entries:
        by_row.setdefault(entry.row, []).append(entry)
    base = next(iter(by_row)) if reference is None else reference
    blocks, told = [], []
    for mode in dict.fromkeys(mode for entry in entries for mode in _evaluations(entry)) or ("single_scale",):
        found = {row: _measured(mine, mode) for row, mine in by_row.items()}
        rows = tuple(
            _row(row, one, None if row == base else found.get(base), metric, (published or {}).get(row))
            for row, one in found.items()
        )
        blocks.append(Block(mode=mode, rows=rows, classes=_classes(found, base)))
        told += [*_unlike(found, base), *_missing(rows, found)]
    return Table(
        name=name,
        metric=metric,
        reference=base,
        blocks=tuple(blocks),
        notes=tuple(dict.fromkeys((*notes, *told))),
    )


@dataclass(frozen=True)
class _Measured:
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

    def comparable(self, other: _Measured, metric: Metric) -> bool:
        """Whether differences of the metric are differences between the trained models alone."""
        return self.labels == other.labels and (self.groups == other.groups or not metric.startswith(GROUPS))


def _evaluations(entry: Entry) -> dict[str, Scores]:
    finished = entry.report is not None and entry.report.result is not None and not entry.stopped
    return entry.report.result.evaluation if finished else {}  # type: ignore[union-attr]


def _measured(entries: Sequence[Entry], mode: str) -> _Measured:
    """Of one row. A seed that is there twice counts once, with its first result."""
    found: dict[int, Scores] = {}
    done = 0
    for entry in entries:
        if (scores := _evaluations(entry).get(mode)) is not None:
            done += 1
            found.setdefault(entry.seed, scores)
    stopped = sum(entry.stopped for entry in entries)
    every = found.values()
    return _Measured(
        scores=dict(sorted(found.items())),
        unfinished=len(entries) - stopped - done,
        stopped=stopped,
        repeated=done - len(found),
        classes=frozenset(tuple((one.id, one.name) for one in scores.classes) for scores in every),
        labels=frozenset(
            (scores.images, *((one.id, one.name, one.tp + one.fn) for one in scores.classes))
            for scores in every
        ),
        groups=frozenset(tuple(one.group for one in scores.classes) for scores in every),
    )


def _row(
    row: str, ours: _Measured, reference: _Measured | None, metric: Metric, published: float | None
) -> Row:
    differences = []
    if reference is not None and ours.comparable(reference, metric):
        differences = _differences(ours.scores, reference.scores, metric)
    return Row(
        row=row,
        seeds=tuple(ours.scores),
        unfinished=ours.unfinished,
        stopped=ours.stopped,
        scores={column: _cell([getattr(one, column) for one in ours.scores.values()]) for column in HEADLINE},
        delta=statistics.mean(differences),
        p_value=statistics.paired_p_value(differences),
        shared_seeds=len(differences),
        published=published,
    )


def _differences(ours: Mapping[int, Scores], theirs: Mapping[int, Scores], metric: Metric) -> list[float]:
    pairs = [(getattr(ours[seed], metric), getattr(theirs[seed], metric)) for seed in ours if seed in theirs]
    return [mine - other for mine, other in pairs if mine is not None and other is not None]


def _cell(values: Sequence[float | None]) -> Cell:
    known = [value for value in values if value is not None]
    return Cell(mean=statistics.mean(known), std=statistics.deviation(known), values=tuple(values))


def _classes(found: Mapping[str, _Measured], reference: str) -> tuple[ClassRow, ...]:
    if len(_kinds(found)) != 1:
        return ()
    first = next(scores for one in found.values() for scores in one.scores.values())
    base = found.get(reference)
    alike = [base is not None and one.labels == base.labels for one in found.values()]
    rows = []
    for k, known in enumerate(first.classes):
        means = {row: _class_mean(one.scores.values(), k) for row, one in found.items()}
        theirs = means.get(reference)
        deltas = tuple(
            iou - theirs if like and iou is not None and theirs is not None else None
            for like, iou in zip(alike, means.values(), strict=True)
        )
        rows.append(
            ClassRow(
                id=known.id,
                name=known.name,
                group=known.group,
                iou=tuple(means.values()),
                delta_iou=deltas,
            )
        )
    return tuple(rows)


def _kinds(found: Mapping[str, _Measured]) -> frozenset[tuple[tuple[int, str], ...]]:
    """The lists of classes that rows were scored on: one, if all is well."""
    return frozenset[tuple[tuple[int, str], ...]]().union(*(one.classes for one in found.values()))


def _class_mean(scores: Iterable[Scores], k: int) -> float | None:
    values = [one.classes[k].iou for one in scores]
    return statistics.mean([value for value in values if value is not None])


def _unlike(found: Mapping[str, _Measured], reference: str) -> Iterator[str]:
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
    if len(_kinds(found)) > 1:
        yield "rows differ in their classes, so none are listed"


def _regrouped(one: _Measured, other: _Measured) -> bool:
    return one.classes == other.classes and one.groups != other.groups


def _missing(rows: Sequence[Row], found: Mapping[str, _Measured]) -> Iterator[str]:
    """Notes on what is not in the numbers, and on how few trials stand behind them."""
    told = {
        "trials without a result, not in the numbers": {row.row: row.unfinished for row in rows},
        "trials stopped early by the scheduler, not in the numbers": {row.row: row.stopped for row in rows},
        "repeats of a seed in its row, not in the numbers": {row: one.repeated for row, one in found.items()},
    }
    for what, counts in told.items():
        if some := [f"{row} {count}" for row, count in counts.items() if count]:
            yield f"{what}: {_some(some)}"
    if max((len(row.seeds) for row in rows), default=0) <= 1:
        yield "one seed: differences of a few points can be chance"
    least = min((row.shared_seeds for row in rows if row.p_value is not None), default=_FEW_SEEDS)
    if least < _FEW_SEEDS:
        yield f"p rests on as few as {least} shared seeds: a hint, no more"


def _some(names: Sequence[str]) -> str:
    more = f", and {len(names) - _MOST_NAMED:,} more rows" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
