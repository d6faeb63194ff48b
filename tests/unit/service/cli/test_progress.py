"""What a person sees: plain lines where there is no terminal, a live display where there is."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console

from service.cli.progress import ProgressView, StartNotices
from service.cli.tables.experiments import NONE, experiments_table, number
from service.shared.schemas import ExperimentPublic, Links, Progress
from service.shared.states import State

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _experiment(state: State, done: int = 0, **changes: Any) -> ExperimentPublic:
    fields: dict[str, Any] = {
        "id": "e1",
        "name": "n [x]",
        "state": state,
        "attempt": 1,
        "spec": {"schedule": {"iterations": 100}},
        "created_at": NOW,
        "updated_at": NOW,
        "progress": Progress(iteration=done, iterations=100, loss=0.5) if done else None,
        "links": Links(self="/", events="/", logs="/", metrics="/", report="/", cancel="/"),
    }
    return ExperimentPublic(**(fields | changes))


def _console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=terminal, width=120, highlight=False), out


def test_progress_in_a_file_is_a_line_for_each_step() -> None:
    """A new state, a new tenth of the way, a new attempt: each one line, and no more."""
    console, out = _console(terminal=False)
    with ProgressView(console) as view:
        for experiment in (
            _experiment(State.QUEUED),
            _experiment(State.QUEUED),
            _experiment(State.RUNNING, 1),
            _experiment(State.RUNNING, 2),
            _experiment(State.RUNNING, 10),
            _experiment(State.COMPLETED, 100),
        ):
            view.update(experiment)
    assert out.getvalue().splitlines() == [
        "e1  n [x]: queued",
        "e1  n [x]: running 1/100, loss 0.5000",
        "e1  n [x]: running 10/100, loss 0.5000",
        "e1  n [x]: completed",
    ]


def test_progress_in_a_terminal_is_a_bar() -> None:
    """State, iterations and loss stand beside it."""
    console, out = _console(terminal=True)
    with ProgressView(console) as view:
        view.update(_experiment(State.RUNNING, 40))
        view.update(_experiment(State.COMPLETED, 100))
    assert "100/100" in out.getvalue()
    assert "completed" in out.getvalue()


def test_start_notices_in_a_file() -> None:
    """What is waited for is said once each time it changes."""
    console, out = _console(terminal=False)
    notices = StartNotices(console)
    for names in (("ray", "mlflow"), ("ray", "mlflow"), ("ray",), ()):
        notices.waiting(names)
    notices.line("ray: ready after 5.0 s")
    assert out.getvalue().splitlines() == [
        "waiting for ray, mlflow …",
        "waiting for ray …",
        "ray: ready after 5.0 s",
    ]


def test_start_notices_in_a_terminal_leave_no_spinner() -> None:
    """An empty wait ends the spinner, twice as well."""
    console, _ = _console(terminal=True)
    notices = StartNotices(console)
    notices.waiting(("ray",))
    notices.waiting(("mlflow",))
    notices.waiting(())
    notices.waiting(())
    assert not console._live_stack


def test_ages_and_numbers() -> None:
    """The largest unit that is not zero; two decimals; a dash where a score is undefined."""
    assert [number(None), number(1.005), number(0.5, signed=True)] == [NONE, "1.00", "+0.50"]
    console, out = _console(terminal=False)
    for seconds, text in ((5, "5 s"), (125, "2 min"), (7200, "2 h"), (200_000, "2 d")):
        console.print(experiments_table([_experiment(State.QUEUED)], NOW + timedelta(seconds=seconds)))
        assert text in out.getvalue()
