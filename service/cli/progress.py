"""What a person sees while things happen: a live display in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console

from service.shared.states import State

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID
    from rich.status import Status

    from service.shared.schemas import ExperimentPublic

_PLAIN_WIDTH = 160  # columns, where nobody's window says: a file, a pipe
_PLAIN_STEP = 0.1  # of the iterations, between two plain lines
COLOURS = {
    State.QUEUED: "bright_black",
    State.SUBMITTED: "cyan",
    State.RUNNING: "blue",
    State.PAUSED: "magenta",
    State.COMPLETED: "green",
    State.FAILED: "red",
    State.CANCELLED: "yellow",
}


def make_console(*, stderr: bool = False) -> Console:
    """A console on stdout or stderr that does not colour words by guessing."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _PLAIN_WIDTH
    return Console(stderr=stderr, highlight=False, width=width, soft_wrap=False)


class StartNotices:
    """Shows what the start of an instance waits for. See `supervisor.Notices`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._shown: tuple[str, ...] = ()

    def waiting(self, names: tuple[str, ...]) -> None:
        """A spinner in a terminal, a line elsewhere, each time something else is waited for."""
        if names == self._shown:
            return
        self._shown = names
        text = f"waiting for {', '.join(names)} …"
        if not self._console.is_terminal:
            if names:
                self.line(text)
        elif not names:
            self._end()
        elif self._status is not None:
            self._status.update(text)
        else:
            self._status = self._console.status(text)
            self._status.start()

    def line(self, text: str) -> None:
        """One line, above the spinner."""
        self._console.print(text, markup=False, soft_wrap=True)

    def _end(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


class LiveBars:
    """While it is entered bars in a terminal, with the fields `state` (markup) and `loss`; elsewhere none."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bars = _task_bars(self._console)
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()


class ProgressView(LiveBars):
    """Follows experiments: bars in a terminal; elsewhere a line for each new state and tenth of the way."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._told: dict[str, tuple[State, int, int, str]] = {}

    def update(self, experiment: ExperimentPublic) -> None:
        """Shows the experiment as it stands now."""
        if self._bars is None:
            self._tell(experiment)
            return
        total, done, loss = _numbers(experiment)
        colour = COLOURS[experiment.state]
        fields: dict[str, Any] = {
            "state": f"[{colour}]{experiment.state}[/]",
            "loss": "" if loss is None else f"loss {loss:.4f}",
        }
        if experiment.id not in self._tasks:
            self._tasks[experiment.id] = self._bars.add_task(
                f"{experiment.id}  {experiment.name}", total=total, **fields
            )
        self._bars.update(self._tasks[experiment.id], total=total, completed=done, **fields)
        if experiment.state.ended:
            self._bars.stop_task(self._tasks[experiment.id])

    def _tell(self, experiment: ExperimentPublic) -> None:
        total, done, loss = _numbers(experiment)
        tenth = int(done / total / _PLAIN_STEP) if total else 0
        why = experiment.waiting.reason if experiment.waiting else ""
        news = (experiment.state, experiment.attempt, tenth, why)
        if self._told.get(experiment.id) == news:
            return
        self._told[experiment.id] = news
        where = f" {done}/{total}" if total and experiment.state is State.RUNNING and done else ""
        measured = f", loss {loss:.4f}" if loss is not None and where else ""
        waits = f", waits: {why}" if why else ""
        again = f" (attempt {experiment.attempt})" if experiment.attempt > 1 else ""
        self._console.print(
            f"{experiment.id}  {experiment.name}: {experiment.state}{again}{where}{measured}{waits}",
            markup=False,
        )


def _numbers(experiment: ExperimentPublic) -> tuple[int | None, int, float | None]:
    """Iterations in all and done, and the loss."""
    if experiment.progress is not None:
        return experiment.progress.iterations, experiment.progress.iteration, experiment.progress.loss
    schedule = experiment.spec.get("schedule")
    total = schedule.get("iterations") if isinstance(schedule, dict) else None
    return (total if isinstance(total, int) else None), 0, None


def _task_bars(console: Console) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        TextColumn("{task.fields[state]}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}", markup=False),
        TimeElapsedColumn(),
        console=console,
    )
