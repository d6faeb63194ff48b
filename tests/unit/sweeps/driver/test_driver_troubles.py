"""What a sweep's driver does when something around its trials fails, without Ray."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sweeps.document.expand import Trial, expand
from sweeps.document.spec import SweepSpec, parse_sweep
from sweeps.driver.driver import Asked, Engine
from sweeps.driver.mlflow_parent import ParentRun
from sweeps.driver.remaining import source_of
from sweeps.driver.summary import Board
from sweeps.driver.trial_runs import Runs
from sweeps.execution.pool import Pool, Shape
from sweeps.execution.task import Task, TaskEnd
from sweeps.results.sweep_table import sweep_table
from sweeps.results.table import Table
from sweeps.results.trial_progress import lost_attempts
from sweeps.search.candidates import Listed, Source
from tests.data_factories import make_report, spec_document
from trainer.base.errors import StoppedEarly
from trainer.results.report import RunError, RunReport, read_report, write_report
from trainer.storage.layout import Storage, trial_id
from trainer.storage.notices import read_notices
from trainer.tracking.tracker import Opened, RunIds, RunInfo
from trainer.tracking.trouble import TrackerError

ASHA = {
    "base": spec_document(evaluation={"interval": 2}, schedule={"iterations": 4}),
    "scheduler": {"kind": "asha"},
}


class StubPool:
    """Answers for the pool: runs nothing, leaves the report of a completed trial."""

    def __init__(self, storage: Storage, end: TaskEnd) -> None:
        self._storage = storage
        self._end = end

    def run(self, task: Task, begins: Callable[[], bool]) -> TaskEnd | None:
        assert begins()
        if self._end.end == "completed":
            write_report(make_report(), self._storage.attempt(task.experiment, task.attempt).report)
        return self._end


class Told:
    """A watcher whose words can fail."""

    def __init__(self, error: Exception | None = None) -> None:
        self.lines: list[str] = []
        self._error = error

    def started(self, trial: Trial, attempt: int) -> None:
        self.lines.append(f"started {attempt}")

    def lost(self, trial: Trial, attempt: int, message: str) -> None:
        self.lines.append(f"lost {attempt}")

    def ended(self, trial: Trial, report: RunReport) -> None:
        self.lines.append(report.state)
        if self._error is not None:
            raise self._error


def sweep_of(**changes: Any) -> SweepSpec:
    return parse_sweep({"name": "s", "base": spec_document(), "seeds": [0, 1], **changes})


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage.at(tmp_path)


@pytest.fixture(autouse=True)
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no cluster to ask."""
    monkeypatch.setattr("sweeps.driver.trial_runs.require_resources", lambda resources: None)


def run_one(storage: Storage, end: TaskEnd, told: Told) -> list[str]:
    """Runs a trial to its end; why the driver would have ended."""
    broken: list[str] = []

    def task(trial: Trial, attempt: int) -> Task:
        return Task(storage=str(storage.root), experiment="s-0000", attempt=attempt, spec=trial.spec)

    pool: Any = StubPool(storage, end)
    runs = Runs(storage, "s", pool=pool, watcher=told, task=task, broken=broken.append)
    runs.begin(expand(sweep_of())[0])
    runs.drain()
    return broken


def test_what_was_reported_stands(storage: Storage) -> None:
    """A full disk under the table does not make a completed trial a failed one."""
    told = Told(OSError(28, "No space left on device"))
    assert run_one(storage, TaskEnd(end="completed"), told) == []
    report = read_report(storage.attempt("s-0000", 1).report)
    assert report is not None
    assert report.state == "completed"
    assert told.lines == ["started 1", "completed"]


def test_a_trial_that_cannot_be_reported_on_ends_the_driver(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a report it would be waited for without end."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("trainer.run.attempt.write_report", full)
    (reason,) = run_one(storage, TaskEnd(end="lost", message="killed"), Told(ValueError("and the table")))
    assert "trial 0 cannot be reported on: [Errno 28]" in reason


def losses(storage: Storage, *types: str) -> int:
    for attempt, kind in enumerate(types, start=1):
        error = RunError(type=kind, message="m", retryable=kind != "DataError")
        report = make_report().model_copy(update={"state": "failed", "result": None, "error": error})
        write_report(report, storage.attempt("t", attempt).report)
    return lost_attempts(storage, "t")


def test_a_lost_node_does_not_count(storage: Storage) -> None:
    """A lost worker does, bad data are no loss, and a report that nobody can read tells of none."""
    assert losses(storage, "WorkerLost", "NodeLost", "DataError", "NodeLost", "WorkerLost") == 2
    storage.attempt("t", 6).path.mkdir()
    storage.attempt("t", 6).report.write(b"\xff{")
    assert lost_attempts(storage, "t") == 2


def test_a_trial_may_not_take_down_nodes_for_ever(storage: Storage) -> None:
    """Lost nodes beyond many count."""
    assert losses(storage, *["NodeLost"] * 32) == 2


def test_each_trial_on_several_losses(storage: Storage) -> None:
    """Three lost workers end it; each loss has its attempt and its report."""
    told = Told()
    run_one(storage, TaskEnd(end="lost", message="killed"), told)
    assert told.lines == ["started 1", "lost 1", "started 2", "lost 2", "started 3", "lost 3", "failed"]


@contextmanager
def board_of(storage: Storage, sweep: SweepSpec, trials: Sequence[Trial]) -> Iterator[Board]:
    parent = ParentRun(sweep, "s", storage, None)
    board = Board(sweep, "s", storage, attempt=1, trials=trials, total=len(trials), parent=parent)
    try:
        yield board
    finally:
        board.close()


def source(storage: Storage, sweep: SweepSpec, known: Sequence[Trial]) -> Source:
    with board_of(storage, sweep, known) as board:
        return source_of(
            sweep, known, identifier="s", storage=storage, board=board, resolve=lambda trial: trial
        )


def left(storage: Storage, sweep: SweepSpec) -> list[int]:
    found, numbers = source(storage, sweep, expand(sweep)), []
    while (trial := found.next()) is not None:
        numbers.append(trial.number)
    return numbers


def test_a_scheduler_learns_first_of_what_has_ended(storage: Storage) -> None:
    """But never of a trial that somebody has taken over: its run directory is not the sweep's to write in."""
    sweep = sweep_of(**ASHA, axes=[{"pointer": "/schedule/learning_rate", "grid": [0.1, 0.2]}])
    for number in (1, 2):
        write_report(make_report(), storage.attempt(trial_id("s", number), 1).report)
    assert left(storage, sweep) == [1, 2, 0, 3]
    storage.detached(trial_id("s", 2)).write("")
    assert left(storage, sweep) == [1, 0, 3]
    assert left(storage, sweep.model_copy(update={"scheduler": sweep_of().scheduler})) == [0, 3]


def test_optuna_and_its_scheduler_learn_the_same(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial stopped early counts with what it had reached, a failed one with nothing."""
    pointer = "/schedule/learning_rate"
    axes = [{"pointer": pointer, "loguniform": [0.001, 0.1]}]
    sweep = sweep_of(**ASHA, axes=axes, seeds=[0], search="optuna", limits={"trials": 3})
    trial = expand(sweep_of(base=ASHA["base"], seeds=[0]))[0]
    known = [Trial(k, f"{k}", None, {pointer: 0.01 * (k + 1)}, trial.spec) for k in range(2)]
    for one, kind in zip(known, (StoppedEarly.__name__, "DataError"), strict=True):
        directory = storage.attempt(trial_id("s", one.number), 1)
        state = "cancelled" if one.number == 0 else "failed"
        error = RunError(type=kind, message="m")
        write_report(
            make_report().model_copy(update={"state": state, "result": None, "error": error}),
            directory.report,
        )
        directory.metrics.write('{"kind": "eval", "iteration": 2, "mIoU": 31.5, "time": 1.0}\n')
    told: list[Any] = []
    monkeypatch.setattr(
        "sweeps.driver.remaining.Suggested", lambda sweep, known, **rest: told.append((known, rest))
    )
    source(storage, sweep, known)
    ((pairs, rest),) = told
    assert [ended for _, ended in pairs] == [(31.5,), (None,)]
    assert rest["first"] == {0, 1}


def test_storage_that_fails_once_locks_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who cannot look whether there is room leaves the queue."""
    failures = [OSError("stale")]

    def held() -> bool:
        if failures:
            raise failures.pop()
        return False

    monkeypatch.setattr("sweeps.execution.pool.ray.cluster_resources", lambda: {"CPU": 1.0})
    pool = Pool(most=None, held=held)
    with pytest.raises(OSError, match="stale"), pool._room(Shape(1.0, 0.0), warm=True):
        pass
    with pool._room(Shape(1.0, 0.0), warm=True) as idle:
        assert idle is None


def test_gpu_hours_of_what_runs_and_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted as long as the resources are held, whatever becomes of the trial."""
    monkeypatch.setattr("sweeps.execution.pool.ray.cluster_resources", lambda: {"CPU": 1.0, "GPU": 2.0})
    now = [0.0]
    monkeypatch.setattr("sweeps.execution.pool.time.monotonic", lambda: now[0])
    pool = Pool(most=None, held=lambda: False)
    with pool._room(Shape(1.0, 2.0), warm=True):
        now[0] = 1800.0
        assert pool.gpu_hours() == 1.0
        now[0] = 3600.0
    now[0] = 9999.0
    assert pool.gpu_hours() == 2.0


def test_a_table_that_takes_long_is_not_made_for_each_trial(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand trials: at most a tenth of the time; the last table has them all."""
    sweep, made, now = sweep_of(), [], [0.0]

    def slow(*arguments: Any, **fields: Any) -> Table:
        now[0] += 1.0
        made.append(now[0])
        return sweep_table(*arguments, **fields)

    monkeypatch.setattr("sweeps.driver.summary.sweep_table", slow)
    monkeypatch.setattr("sweeps.driver.summary.time.monotonic", lambda: now[0])
    with board_of(storage, sweep, expand(sweep)) as board:
        for trial in [*expand(sweep)] * 10:
            board.ended(trial, make_report())
            now[0] += 1.0
        assert len(made) == 2
        assert board.show_last() is not None
    assert len(made) == 3


LIMIT = "not all trials were begun: 1e-09 seconds are over"


def test_the_last_table_says_which_limit_was_reached(storage: Storage) -> None:
    """In storage as well, where a person without a service looks."""
    sweep = sweep_of()
    with board_of(storage, sweep, expand(sweep)) as board:
        table = board.show_last(LIMIT)
    assert table is not None
    assert LIMIT in table.notes
    assert LIMIT in storage.sweep("s").tables["markdown"].read_text()


def test_a_limit_counts_where_trials_are_left(storage: Storage) -> None:
    """The driver's report names it, unless the last trial had been begun before it was reached."""
    sweep = sweep_of(limits={"seconds": 1e-9})
    trials = expand(sweep)
    for left, limit in ((trials, LIMIT), ((), None)):
        asked = Asked(
            sweep=sweep,
            identifier="s",
            attempt=1,
            storage=storage,
            mlflow_uri=None,
            trials=trials,
            total=len(trials),
            resolve=lambda trial: trial,
        )
        with board_of(storage, sweep, trials) as board:
            engine = Engine(asked)
            engine._board, engine._source = board, Listed(left)
            assert engine._over()
            assert engine._report(None).limit == limit


def test_a_server_that_hangs_holds_up_one_thread(storage: Storage) -> None:
    """While one tells MLflow, and for a while after it failed, the others go on without."""
    calls, hanging, entered = [], threading.Event(), threading.Event()

    class Hanging:
        def open(self, info: RunInfo) -> Opened:
            return Opened(RunIds("m1", "0"))

        def log_points(self, _: object) -> None:
            calls.append(threading.get_ident())
            entered.set()
            assert hanging.wait(10)
            raise TrackerError("no answer")

    parent = ParentRun(sweep_of(), "s", storage, "http://mlflow", make=lambda uri: Hanging())  # type: ignore[arg-type,return-value]
    table: Any = None
    thread = threading.Thread(target=parent.show, args=(table, {}, 1))
    thread.start()
    assert entered.wait(10)
    parent.show(table, {}, 2)
    hanging.set()
    thread.join()
    parent.show(table, {}, 3)
    assert len(calls) == 1
    parent.show(table, {}, 4, last=True)
    assert len(calls) == 2
    (notice,) = read_notices(storage.sweep("s").attempt(1))
    assert notice.text.startswith(
        "MLflow answered with an error: no answer. Missing there: the sweep's newest"
    )
