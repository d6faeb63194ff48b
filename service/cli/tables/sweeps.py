"""Sweeps in a terminal: live progress, lists, and the table of results in a hundred columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from rich.table import Table

from service.cli.progress import COLOURS, LiveBars
from service.cli.tables.experiments import age, cell, make_table, notice_text, number, waiting_text
from service.shared.states import State
from trainer.base.schema_words import counted
from trainer.base.text import printable
from trainer.spec.evaluation import SINGLE_SCALE

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from service.shared.sweep_schemas import SweepPreview, SweepPublic, TrialPublic
    from sweeps.results.table import Block
    from sweeps.results.table import Table as Results

_MOST_SHOWN = 200  # trials
_MOST_FAILURES = 20
_NAME_WIDTH = 44


class SweepView(LiveBars):
    """Follows a sweep: bars for it and for what runs in a terminal; elsewhere a line for each change."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._told = ""

    def update(self, sweep: SweepPublic) -> None:
        """Shows the sweep as it stands now."""
        if self._bars is not None:
            self._draw(self._bars, sweep)
            return
        text = f"{sweep.id}  {sweep.name}: {_standing(sweep)}"
        if text != self._told:
            self._told = text
            self._console.print(text, markup=False)

    def _draw(self, bars: Progress, sweep: SweepPublic) -> None:
        counts = sweep.counts
        done = counts.completed + counts.failed + counts.cancelled + counts.stopped
        paused = ", paused" if sweep.paused else ""
        state = f"[{COLOURS[sweep.state]}]{sweep.state}[/]{_asked(sweep)}{paused}"
        wanted: dict[str, tuple[str, int | None, int, str, str]]
        wanted = {sweep.id: (f"{sweep.id}  {sweep.name}", counts.total, done, state, best_text(sweep))}
        for trial in sweep.running:
            total = trial.progress.iterations if trial.progress else None
            at = trial.progress.iteration if trial.progress else 0
            loss = f"loss {trial.progress.loss:.4f}" if trial.progress and trial.progress.loss else ""
            wanted[trial.experiment] = (f"  {trial_name(trial)}", total, at, "", loss)
        for gone in self._tasks.keys() - wanted.keys():
            bars.remove_task(self._tasks.pop(gone))
        for key, (name, total, at, state, note) in wanted.items():
            if key not in self._tasks:
                self._tasks[key] = bars.add_task(name[:_NAME_WIDTH], total=total, state=state, loss=note)
            bars.update(self._tasks[key], total=total, completed=at, state=state, loss=note)


def trial_name(trial: TrialPublic) -> str:
    """For example `lambda=0.1, seed 3`."""
    return f"{trial.row}, seed {trial.seed}"


def best_text(sweep: SweepPublic) -> str:
    """The best trial in a few words, empty while there is none."""
    if sweep.best is None:
        return ""
    return f"best {sweep.spec['metric']} {number(sweep.best.value)} ({trial_name(sweep.best)})"


def sweeps_table(found: Iterable[SweepPublic], now: datetime) -> Table:
    """One row for each sweep."""
    titles = ("id", "state", "name", "completed", "stopped", "failed", "running", "best", "age")
    table = make_table(*titles, right=3, fold=(1, 2))
    for each in found:
        counts = each.counts
        table.add_row(
            each.id,
            f"[{COLOURS[each.state]}]{each.state}[/]{_asked(each)}" + (", paused" if each.paused else ""),
            cell(each.name),
            f"{counts.completed}/{counts.total}",
            str(counts.stopped),
            str(counts.failed),
            str(counts.running),
            number(each.best.value) if each.best else "",
            age(each.created_at, now),
        )
    return table


def print_sweep(console: Console, sweep: SweepPublic) -> None:
    """How a sweep stands, and its trials."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("id", sweep.id)
    grid.add_row("name", cell(sweep.name))
    grid.add_row("state", cell(_standing(sweep)))
    if sweep.waiting:
        grid.add_row("waits", cell(waiting_text(sweep.waiting)))
    if sweep.error:
        grid.add_row("error", f"[red]{cell(sweep.error.type)}[/]: {cell(sweep.error.message)}")
    for notice in sweep.notices:
        grid.add_row("notice", cell(notice_text(notice)))
    if sweep.duplicate_of:
        grid.add_row("same as", sweep.duplicate_of)
    if sweep.links.mlflow:
        grid.add_row("MLflow", cell(sweep.links.mlflow))
    console.print(grid)
    console.print(trials_table(sweep))
    for line in _failures(sweep):
        console.print(printable(line), markup=False, no_wrap=True, overflow="ellipsis")
    if len(sweep.trials or ()) > _MOST_SHOWN:
        console.print(f"… {sweep.counts.total - _MOST_SHOWN:,} more: rebalance list --sweep {sweep.id}")


def trials_table(sweep: SweepPublic) -> Table:
    """One row for each of the first trials."""
    table = make_table(
        "experiment", "state", "row", "seed", "progress", sweep.spec["metric"], right=3, fold=(2,)
    )
    again = any(trial.duplicate_of for trial in (sweep.trials or ())[:_MOST_SHOWN])
    if again:
        table.add_column("same as")
    for trial in (sweep.trials or ())[:_MOST_SHOWN]:
        state = "stopped early" if trial.stopped else str(trial.state)
        at = f"{trial.progress.iteration}/{trial.progress.iterations}" if trial.progress else ""
        value = number(trial.value) if trial.value is not None else ""
        state = f"[{COLOURS[trial.state]}]{state}[/]" + (", on its own" if trial.detached else "")
        if not trial.state.ended:
            state += _asked(trial) or ("" if trial.detached else _asked(sweep))
        same = (trial.duplicate_of or "",) if again else ()
        table.add_row(trial.experiment, state, cell(trial.row), str(trial.seed), at, value, *same)
    return table


def _failures(sweep: SweepPublic) -> Iterator[str]:
    """Why trials of the table failed, a line each, of very many the first ones."""
    failed = [
        each for each in (sweep.trials or ())[:_MOST_SHOWN] if each.state is State.FAILED and each.error
    ]
    for trial in failed[:_MOST_FAILURES]:
        assert trial.error is not None
        why, *_ = trial.error.message.splitlines() or [""]
        yield f"{trial.experiment} failed: {trial.error.type}: {why}"
    if len(failed) > _MOST_FAILURES:
        yield f"… and {len(failed) - _MOST_FAILURES} more: rebalance show EXPERIMENT"


def _asked(each: SweepPublic | TrialPublic) -> str:
    return ", cancel requested" if each.cancel_requested_at and not each.state.ended else ""


def preview_table(preview: SweepPreview) -> Table:
    """The trials a sweep would have."""
    table = make_table("trial", "row", "seed", right=2, fold=(1,))
    for trial in preview.trials[:_MOST_SHOWN]:
        table.add_row(str(trial.number), cell(trial.row), str(trial.seed))
    return table


def cost_text(preview: SweepPreview) -> str:
    """What it would take, in one line."""
    from sweeps.document.estimate import cost_line

    return cost_line(preview.cost, None)


def print_results(console: Console, results: Results, *, classes: bool = False) -> None:
    """The table of a paper: a block for each evaluation mode, then what a reader must know."""
    from sweeps.results.formats import classes_elsewhere

    blocks = [block for block in results.blocks if block.rows]  # without rows while a search has drawn none
    for block in blocks:
        if len(results.blocks) > 1 or block.mode != SINGLE_SCALE:
            console.print(block.mode, markup=False)
        console.print(_scores(results, block))
        if classes and (elsewhere := classes_elsewhere(block)):
            console.print(elsewhere, markup=False)
        elif classes and block.classes:
            console.print(_classes(results, block))
    if blocks:
        console.print(f"Δ and p (paired t-test over shared seeds) against {results.against}", markup=False)
    for note in results.notes:
        console.print(f"note: {printable(note)}", markup=False)


def _scores(results: Results, block: Block) -> Table:
    from sweeps.results.formats import score_grid

    grid = score_grid(results, block, "±")
    table = make_table(*grid.titles, right=grid.words, fold=(0,))
    for row in grid.rows:
        table.add_row(*map(cell, row))
    return table


def _classes(results: Results, block: Block) -> Table:
    """References' IoU, and what the others have more or less: narrower than both numbers of each."""
    names = [row.row for row in block.rows]
    first = [place for place, row in enumerate(block.rows) if results.reference_of(row) == row.row]
    others = [place for place in range(len(names)) if place not in first]
    titles = (*(names[place] for place in first), *(f"Δ {names[place]}" for place in others))
    table = make_table("class", "group", *titles, right=2)
    for each in block.classes:
        deltas = [number(each.delta_iou[place], signed=True) for place in others]
        table.add_row(cell(each.name), each.group, *(number(each.iou[place]) for place in first), *deltas)
    return table


def _standing(sweep: SweepPublic) -> str:
    return ", ".join(_parts(sweep))


def _parts(sweep: SweepPublic) -> Iterator[str]:
    yield str(sweep.state) + (" (paused)" if sweep.paused else "")
    if asked := _asked(sweep):
        yield asked.removeprefix(", ")
    if sweep.attempt > 1:
        yield f"attempt {sweep.attempt}"
    yield f"{sweep.counts.completed} of {counted(sweep.counts.total, 'trial')} completed"
    for word in ("running", "failed", "cancelled", "stopped"):
        if number_of := getattr(sweep.counts, word):
            yield f"{number_of} {'stopped early' if word == 'stopped' else word}"
    if best := best_text(sweep):
        yield best
