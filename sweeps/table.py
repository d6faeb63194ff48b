"""The reports of a sweep as the table of a paper: a row for each setting, mean and spread over its seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from sweeps import statistics
from sweeps.spec import Metric
from trainer.metrics import Group
from trainer.report import HEADLINE, RunReport, Scores
from trainer.strict_model import StrictModel


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
    """One setting. `delta` and `p_value`: against the reference over the seeds that both have."""

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
    """IoU of one class, mean over seeds, and its difference to the reference's; in the order of the rows."""

    id: int
    name: str
    group: Group
    iou: tuple[float | None, ...] = Field(strict=False)
    delta_iou: tuple[float | None, ...] = Field(strict=False)


class Block(StrictModel):
    """One evaluation mode."""

    mode: str
    rows: tuple[Row, ...] = Field(strict=False)
    classes: tuple[ClassRow, ...] = Field(strict=False)


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
        notes: said under the table, before those about missing trials.
    """
    rows = list(dict.fromkeys(entry.row for entry in entries))
    base = rows[0] if reference is None else reference
    modes = dict.fromkeys(mode for entry in entries for mode in _evaluations(entry)) or {"single_scale": None}
    blocks = []
    for mode in modes:
        found = {row: _scores_of(entries, row, mode) for row in rows}
        blocks.append(
            Block(
                mode=mode,
                rows=tuple(
                    _row(row, entries, found, base, metric, (published or {}).get(row)) for row in rows
                ),
                classes=_classes(found, base),
            )
        )
    return Table(
        name=name,
        metric=metric,
        reference=base,
        blocks=tuple(blocks),
        notes=(*notes, *_notes(blocks[0].rows)),
    )


def _evaluations(entry: Entry) -> dict[str, Scores]:
    finished = entry.report is not None and entry.report.result is not None and not entry.stopped
    return entry.report.result.evaluation if finished else {}  # type: ignore[union-attr]


def _scores_of(entries: Sequence[Entry], row: str, mode: str) -> dict[int, Scores]:
    """Scores by seed, of the trials that completed, seeds ascending."""
    mine = {entry.seed: _evaluations(entry) for entry in entries if entry.row == row}
    return {seed: mine[seed][mode] for seed in sorted(mine) if mode in mine[seed]}


def _row(
    row: str,
    entries: Sequence[Entry],
    found: Mapping[str, Mapping[int, Scores]],
    reference: str,
    metric: Metric,
    published: float | None,
) -> Row:
    scores = found[row]
    mine = [entry for entry in entries if entry.row == row]
    stopped = sum(entry.stopped for entry in mine)
    differences = [] if row == reference else _differences(scores, found.get(reference, {}), metric)
    return Row(
        row=row,
        seeds=tuple(scores),
        unfinished=len(mine) - stopped - len(scores),
        stopped=stopped,
        scores={column: _cell([getattr(one, column) for one in scores.values()]) for column in HEADLINE},
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


def _classes(found: Mapping[str, Mapping[int, Scores]], reference: str) -> tuple[ClassRow, ...]:
    first = next((scores for by_seed in found.values() for scores in by_seed.values()), None)
    if first is None:
        return ()
    rows = []
    for k, known in enumerate(first.classes):
        ious = {row: _class_mean(by_seed.values(), k) for row, by_seed in found.items()}
        base = ious.get(reference)
        deltas = tuple(None if iou is None or base is None else iou - base for iou in ious.values())
        rows.append(
            ClassRow(id=k, name=known.name, group=known.group, iou=tuple(ious.values()), delta_iou=deltas)
        )
    return tuple(rows)


def _class_mean(scores: Iterable[Scores], k: int) -> float | None:
    values = [one.classes[k].iou for one in scores]
    return statistics.mean([value for value in values if value is not None])


def _notes(rows: Sequence[Row]) -> tuple[str, ...]:
    notes = []
    unfinished = {row.row: row.unfinished for row in rows if row.unfinished}
    if unfinished:
        told = ", ".join(f"{row} {count}" for row, count in unfinished.items())
        notes.append(f"trials without a result, not in the numbers: {told}")
    stopped = {row.row: row.stopped for row in rows if row.stopped}
    if stopped:
        told = ", ".join(f"{row} {count}" for row, count in stopped.items())
        notes.append(f"trials stopped early by the scheduler, not in the numbers: {told}")
    if max((len(row.seeds) for row in rows), default=0) <= 1:
        notes.append("one seed: differences of a few points can be chance")
    return tuple(notes)
