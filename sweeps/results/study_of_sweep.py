"""A sweep as a report shows it: its table's rows, numbers and notes, and the runs behind each row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from sweeps.document.spec import SweepSpec
from sweeps.results.formats import class_grid, score_grid
from sweeps.results.table import Row, Table
from trainer.base.text import printable
from trainer.figures.sources import Source
from trainer.figures.study import MOST_SETTINGS, Setting, Study
from trainer.figures.study import Table as TextTable


def study_of_sweep(
    sweep: SweepSpec, identifier: str, table: Table, sources: Callable[[Row], Sequence[Source]]
) -> Study | None:
    """Its report, in the first evaluation mode; None where no trial has a result.

    Args:
        table: as `sweep_table` makes it.
        sources: a row's trials that are in the table's numbers; asked only for rows that are drawn.
    """
    block = table.blocks[0]
    measured = [row for row in block.rows if row.seeds]
    chosen = _chosen(sweep, table, measured)
    settings = [_setting(table, block.mode, row, sources(row)) for row in measured if row.row in chosen]
    found = tuple(setting for setting in settings if setting is not None)
    if not found:
        return None
    left = len(measured) - len(chosen)
    told = f"figures show references and the rows best by {sweep.metric}; {left:,} more are in the table"
    return Study(
        title=sweep.name or f"Sweep {identifier}",
        subject=f"Sweep {identifier}",
        settings=found,
        mode=block.mode,
        metric=sweep.metric,
        tables=tuple(_tables(table)),
        notes=(*table.notes, *((told,) if left else ())),
    )


def _chosen(sweep: SweepSpec, table: Table, rows: Sequence[Row]) -> frozenset[str]:
    """Names of the rows that are drawn: references, then the best."""
    sign = -1 if sweep.direction == "max" else 1
    references = {table.reference_of(row) for row in rows}

    def rank(row: Row) -> tuple[bool, float]:
        value = row.scores[sweep.metric].mean
        return row.row not in references, float("inf") if value is None else sign * value

    return frozenset(row.row for row in sorted(rows, key=rank)[:MOST_SETTINGS])


def _setting(table: Table, mode: str, row: Row, sources: Sequence[Source]) -> Setting | None:
    """None where its reports have gone since the table was made."""
    scored = [one for one in sources if one.report.result and mode in one.report.result.evaluation]
    by_seed = {one.report.spec.seed: one for one in reversed(scored)}  # of a repeated seed the first
    runs = [by_seed[seed].run(mode) for seed in row.seeds if seed in by_seed]
    if not runs:
        return None
    return Setting(
        label=printable(row.row),
        reference=printable(table.reference_of(row)),
        runs=tuple(runs),
        delta=row.delta,
        p_value=row.p_value,
        published=row.published,
    )


def _tables(table: Table) -> Iterator[TextTable]:
    """Of each mode: the same cells as the table has in Markdown and in the terminal."""
    for block in table.blocks:
        against = f" Δ and p (paired t-test over shared seeds) against {table.against}."
        about = "Percent, mean ± standard deviation over n seeds." + (against if len(block.rows) > 1 else "")
        yield TextTable(f"Scores, {block.mode}", score_grid(table, block), about)
        grid = class_grid(table, block)
        if grid is not None:
            about = f"Percent, ΔIoU against {table.against} in brackets."
            yield TextTable(f"IoU by class, {block.mode}", grid, about)
