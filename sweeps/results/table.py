"""The reports of a sweep as the table of a paper: a row for each setting, mean and spread over its seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from sweeps.results.comparability import Measured, class_lists, few_seeds, missing, unlike
from trainer.base.strict_model import StrictModel
from trainer.results import statistics
from trainer.results.comparability import ClassKey, difference, ground_of, key_of
from trainer.results.metrics import Group
from trainer.results.notice_notes import notice_notes
from trainer.results.report import AttemptReport, Scores
from trainer.results.scores import HEADLINE
from trainer.spec.evaluation import SINGLE_SCALE, ScoreName


@dataclass(frozen=True)
class Entry:
    """One trial as the table sees it. `report` is None until it has ended."""

    row: str
    seed: int
    report: AttemptReport | None
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
    reference: str | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="The row it is compared with, where that is not the table's.",
    )


class ClassStatistics(StrictModel):
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
    classes: tuple[ClassStatistics, ...] = Field(strict=False, description="Empty where rows differ in them.")


class Table(StrictModel):
    """What a sweep measured."""

    name: str
    metric: ScoreName
    reference: str
    blocks: tuple[Block, ...] = Field(strict=False)
    notes: tuple[str, ...] = Field(default=(), strict=False)

    def reference_of(self, row: Row) -> str:
        """The name of the row that `row` is compared with; its own where it is one that others are."""
        return self.reference if row.reference is None else row.reference

    @property
    def against(self) -> str:
        """What differences are taken to, in words."""
        own = any(row.reference is not None for block in self.blocks for row in block.rows)
        return "the first row of the same recipe" if own else self.reference


def make_table(
    name: str,
    entries: Sequence[Entry],
    *,
    metric: ScoreName = "mIoU",
    reference: str | None = None,
    references: Mapping[str, str] | None = None,
    published: Mapping[str, Mapping[str, float]] | None = None,
    notes: Sequence[str] = (),
) -> Table:
    """Rows in the order in which they first occur in `entries`.

    Args:
        entries: the trials; of none the table has no rows.
        reference: the row that differences are taken to; the first if left out.
        references: by row, the one that its differences are taken to instead.
        published: numbers of the paper by mode and row, shown beside ours of the same mode.
        notes: said under the table, before those about missing trials, what is not comparable, and notices.
    """
    by_row: dict[str, list[Entry]] = {}
    for entry in entries:
        by_row.setdefault(entry.row, []).append(entry)
    base = next(iter(by_row), "") if reference is None else reference
    blocks: list[Block] = []
    told: list[str] = []
    for mode in dict.fromkeys(mode for entry in entries for mode in _evaluations(entry)) or (SINGLE_SCALE,):
        found = {row: _measured(mine, mode) for row, mine in by_row.items()}
        own = {row: (references or {}).get(row, base) for row in found}
        rows = tuple(
            _row(
                row,
                one,
                None if row == own[row] else found.get(own[row]),
                metric,
                (published or {}).get(mode, {}).get(row),
            ).model_copy(update={"reference": None if own[row] == base else own[row]})
            for row, one in found.items()
        )
        blocks.append(Block(mode=mode, rows=rows, classes=_classes(found, own)))
        shared = [row.shared_seeds for row in rows if row.p_value is not None]
        for each in dict.fromkeys(own.values()):
            told += unlike({row: one for row, one in found.items() if own[row] == each}, each, metric)
        told += [*missing(found), *few_seeds(shared)]
    told += notice_notes(
        (entry.row, entry.report.notices) for entry in entries if entry.report and _evaluations(entry)
    )
    return Table(
        name=name,
        metric=metric,
        reference=base,
        blocks=tuple(blocks),
        notes=tuple(dict.fromkeys((*notes, *told))),
    )


def _evaluations(entry: Entry) -> dict[str, Scores]:
    finished = entry.report is not None and entry.report.result is not None and not entry.stopped
    return entry.report.result.evaluation if finished else {}  # type: ignore[union-attr]


def _measured(entries: Sequence[Entry], mode: str) -> Measured:
    """Of one row. A seed that is there twice counts once, with its first result."""
    found: dict[int, Scores] = {}
    done = 0
    for entry in entries:
        if (measured := _evaluations(entry).get(mode)) is not None:
            done += 1
            found.setdefault(entry.seed, measured)
    stopped = sum(entry.stopped for entry in entries)
    scores = dict(sorted(found.items()))
    return Measured(
        scores=scores,
        unfinished=len(entries) - stopped - done,
        stopped=stopped,
        repeated=done - len(found),
        grounds=tuple(dict.fromkeys(ground_of(one) for one in scores.values())),
    )


def _row(
    row: str, ours: Measured, reference: Measured | None, metric: ScoreName, published: float | None
) -> Row:
    differences = []
    if reference is not None and ours.why_apart(reference, metric) is None:
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


def _differences(ours: Mapping[int, Scores], theirs: Mapping[int, Scores], metric: ScoreName) -> list[float]:
    shared = [(ours[seed].headline[metric], theirs[seed].headline[metric]) for seed in ours if seed in theirs]
    return [delta for mine, other in shared if (delta := difference(mine, other)) is not None]


def _cell(values: Sequence[float | None]) -> Cell:
    known = [value for value in values if value is not None]
    return Cell(mean=statistics.mean(known), std=statistics.deviation(known), values=tuple(values))


def _classes(found: Mapping[str, Measured], references: Mapping[str, str]) -> tuple[ClassStatistics, ...]:
    if len(class_lists(found)) != 1:
        return ()
    first = next(scores for one in found.values() for scores in one.scores.values())
    bases = {row: found.get(reference) for row, reference in references.items()}
    alike = [(base := bases[row]) is not None and one.why_apart(base) is None for row, one in found.items()]
    means = {row: _class_means(one.scores.values()) for row, one in found.items()}
    rows = []
    for known in first.classes:
        ious = [mine.get(key_of(known)) for mine in means.values()]
        theirs = [means.get(references[row], {}).get(key_of(known)) for row in found]
        deltas = (
            difference(iou, other) if like else None
            for like, iou, other in zip(alike, ious, theirs, strict=True)
        )
        rows.append(
            ClassStatistics(
                id=known.id,
                name=known.name,
                group=known.group,
                iou=tuple(ious),
                delta_iou=tuple(deltas),
            )
        )
    return tuple(rows)


def _class_means(scores: Iterable[Scores]) -> dict[ClassKey, float | None]:
    """IoU of each class, mean over the trials of a row that have one."""
    values: dict[ClassKey, list[float]] = {}
    for one in scores:
        for each in one.classes:
            values.setdefault(key_of(each), []).extend([] if each.iou is None else [each.iou])
    return {key: statistics.mean(found) for key, found in values.items()}
