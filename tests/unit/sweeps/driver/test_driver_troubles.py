"""What a sweep's driver does when something around its trials fails, without Ray."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sweeps.document.expand import Trial, expand
from sweeps.document.spec import SweepSpec
from sweeps.driver.begun_trials import BegunTrials
from sweeps.driver.mlflow_parent import ParentRun
from sweeps.driver.remaining import source_of
from sweeps.driver.summary import Board
from sweeps.execution.pool import Pool
from sweeps.execution.task import TaskEnd
from sweeps.results.table import Table
from sweeps.results.table_of_sweep import sweep_table
from sweeps.results.trial_progress import lost_attempts
from sweeps.search.candidates import Listed, Source, Suggested
from tests.data_factories import make_report, spec_document
from tests.unit.sweeps.driver.stubs import FixedCluster, StubPool, Told, sweep_of, task_of
from trainer.base.errors import StoppedEarly, StorageAway
from trainer.results.report import AttemptError, read_report, write_report
from trainer.spec.resources import Resources
from trainer.storage.directories import trial_id
from trainer.storage.layout import Storage
from trainer.storage.notices import read_notices
from trainer.storage.orders import ask_to_stop
from trainer.task import Task
from trainer.tracking.tracker import Opened, RunIds, RunInfo
from trainer.tracking.trouble import TrackerError

ASHA = {
    "base": spec_document(evaluation={"interval": 2}, schedule={"iterations": 4}),
    "scheduler": {"kind": "asha"},
}
LOST = TaskEnd(end="lost", message="killed")


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage.at(tmp_path / "storage")


def run_one(
    storage: Storage, end: TaskEnd, told: Told, before: Callable[[Task], object] = lambda _: None
) -> list[str]:
    """Runs a trial to its end; why the driver would have given up."""
    reasons: list[str] = []
    sweep, pool = sweep_of(), StubPool(end, before)
    begun = begun_of(storage, sweep, pool, watcher=told, give_up=reasons.append)
    begun.begin(expand(sweep)[0], last=True)
    begun.drain()
    return reasons


def begun_of(storage: Storage, sweep: SweepSpec, pool: Any, **arguments: Any) -> BegunTrials:
    task, parent = task_of(storage, sweep), ParentRun(sweep, "s", storage, None)
    return BegunTrials(task, pool=pool, parent=parent, **{"watcher": Told(), "give_up": print, **arguments})


def test_what_was_reported_stands(storage: Storage) -> None:
    """A full disk under the table does not make a completed trial a failed one."""
    told = Told(OSError(28, "No space left on device"))
    assert run_one(storage, TaskEnd(end="completed"), told) == []
    report = read_report(storage.attempt("s-0000", 1).report)
    assert report is not None
    assert report.state == "completed"
    assert told.lines == ["started 1", "completed"]


def test_a_trial_that_cannot_be_reported_on_ends_the_driver(storage: Storage) -> None:
    """Without a report it would be waited for without end."""

    def take_away(task: Task) -> None:
        shutil.rmtree(task.attempt_dir.path)
        task.attempt_dir.path.touch()  # no directory can be made here any more

    (reason,) = run_one(storage, LOST, Told(), take_away)
    assert reason.startswith("trial 0 cannot be reported on: ")


def test_a_machine_that_lost_its_storage_is_a_loss(storage: Storage) -> None:
    """Its worker could leave no report; the trial is run again, as an experiment is."""
    told, away = Told(), [StorageAway("/nfs", "not mounted")]

    def before(task: Task) -> None:
        if away:
            raise away.pop()

    assert run_one(storage, TaskEnd(end="completed"), told, before) == []
    assert told.lines == ["started 1", "lost 1", "started 2", "completed"]
    report = read_report(storage.attempt("s-0000", 1).report)
    assert report is not None
    assert report.error is not None
    assert (report.error.type, report.error.retryable) == ("WorkerLost", True)


@pytest.mark.parametrize("loss", [None, StorageAway("/nfs", "not mounted"), RuntimeError("bad")])
def test_nothing_is_reported_where_the_storage_is_not(storage: Storage, loss: Exception | None) -> None:
    """Its directory, with nothing mounted there, stays empty: the driver gives up, and another goes on."""
    root = storage.root

    def unmount(task: Task) -> None:
        root.rename(root.with_name("elsewhere"))
        root.mkdir()
        if loss is not None:
            raise loss

    (reason,) = run_one(storage, LOST, Told(), unmount)
    assert reason.startswith(f"trial 0 cannot be reported on: {root}/runs/s-0000/1: ")
    assert list(root.iterdir()) == []


def test_a_trial_stopped_before_it_begins(storage: Storage) -> None:
    """It never runs, and its report has the words of whoever stopped it."""
    ask_to_stop(storage.stop("s-0000"), StoppedEarly("at iteration 4"))
    told = Told()
    assert run_one(storage, TaskEnd(end="completed"), told) == []
    report = read_report(storage.attempt("s-0000", 1).report)
    assert report is not None
    assert report.error is not None
    assert (report.error.type, report.error.message) == ("StoppedEarly", "at iteration 4")
    assert told.lines == ["cancelled"]


def test_a_newer_driver_is_noticed(storage: Storage) -> None:
    """Two must never begin trials: the older one gives up as soon as the newer one has its directory."""
    reasons: list[str] = []
    begun = begun_of(storage, sweep_of(), StubPool(LOST), give_up=reasons.append)
    begun.check_in()
    storage.sweep("s").attempt(2).path.mkdir(parents=True)
    begun.check_in()
    assert reasons == ["a newer attempt at this sweep has begun"]


def losses(storage: Storage, *types: str) -> int:
    for attempt, kind in enumerate(types, start=1):
        error = AttemptError(type=kind, message="m", retryable=kind != "DataError")
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
    run_one(storage, LOST, told)
    assert told.lines == ["started 1", "lost 1", "started 2", "lost 2", "started 3", "lost 3", "failed"]


@contextmanager
def board_of(
    storage: Storage, sweep: SweepSpec, trials: Sequence[Trial], **arguments: Any
) -> Iterator[Board]:
    parent = ParentRun(sweep, "s", storage, None)
    board = Board(
        sweep, "s", storage, attempt=1, trials=trials, total=len(trials), parent=parent, **arguments
    )
    try:
        yield board
    finally:
        board.close()


def source(
    storage: Storage, sweep: SweepSpec, known: Sequence[Trial], draw: Callable[..., Source] = Suggested
) -> Source:
    with board_of(storage, sweep, known) as board:
        return source_of(task_of(storage, sweep), known, board=board, draw=draw)


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


def test_optuna_and_its_scheduler_learn_the_same(storage: Storage) -> None:
    """A trial stopped early counts with what it had reached, a failed one with nothing."""
    pointer = "/schedule/learning_rate"
    axes = [{"pointer": pointer, "loguniform": [0.001, 0.1]}]
    sweep = sweep_of(**ASHA, axes=axes, seeds=[0], search="optuna", limits={"trials": 3})
    trial = expand(sweep_of(base=ASHA["base"], seeds=[0]))[0]
    known = [Trial(k, f"{k}", None, {pointer: 0.01 * (k + 1)}, trial.spec) for k in range(2)]
    for one, kind in zip(known, (StoppedEarly.__name__, "DataError"), strict=True):
        directory = storage.attempt(trial_id("s", one.number), 1)
        state = "cancelled" if one.number == 0 else "failed"
        error = AttemptError(type=kind, message="m")
        write_report(
            make_report().model_copy(update={"state": state, "result": None, "error": error}),
            directory.report,
        )
        directory.metrics.write('{"kind": "eval", "iteration": 2, "mIoU": 31.5, "time": 1.0}\n')
    told: list[Any] = []

    def draw(sweep: SweepSpec, known: Any, **rest: Any) -> Source:
        told.append((known, rest))
        return Listed(())

    source(storage, sweep, known, draw)
    ((pairs, rest),) = told
    assert [ended for _, ended in pairs] == [(31.5,), (None,)]
    assert rest["first"] == {0, 1}


def test_storage_that_fails_once_locks_nobody_out() -> None:
    """Who cannot look whether there is room leaves the queue."""
    failures = [OSError("stale")]

    def paused() -> bool:
        if failures:
            raise failures.pop()
        return False

    pool = Pool(most=None, paused=paused, cluster=FixedCluster(CPU=1.0))
    with pytest.raises(OSError, match="stale"), pool.place(Resources()):
        pass
    with pool.place(Resources()) as run:
        assert callable(run)


def test_gpu_hours_of_what_runs_and_ran() -> None:
    """Counted as long as the resources are held, whatever becomes of the trial."""
    now = [0.0]
    cluster = FixedCluster(CPU=2.0, GPU=2.0)
    pool = Pool(most=None, paused=lambda: False, cluster=cluster, clock=lambda: now[0])
    with pool.place(Resources(workers=2, gpus_per_worker=1)):
        now[0] = 1800.0
        assert pool.gpu_hours() == 1.0
        now[0] = 3600.0
    now[0] = 9999.0
    assert pool.gpu_hours() == 2.0


def test_room(storage: Storage) -> None:
    """As many as fit or are allowed, and one to be ready where none has to wait for what others score; none
    while the sweep is paused.
    """
    pool = Pool(most=None, paused=lambda: False, cluster=FixedCluster(CPU=4.0))
    cases = (
        ({}, 5),
        ({"limits": {"concurrent_trials": 2}}, 3),
        ({"limits": {"seconds": 9.0}}, 4),
        (ASHA, 4),
    )
    for changes, room in cases:
        assert begun_of(storage, sweep_of(**changes), pool).room() == room
    pause = storage.sweep("s").pause
    pause.write("")
    assert begun_of(storage, sweep_of(), pool).room() == 0


def test_a_table_that_takes_long_is_not_made_for_each_trial(storage: Storage) -> None:
    """Ten thousand trials: at most a tenth of the time; the last table has them all."""
    sweep, made, now = sweep_of(), [], [0.0]

    def slow(*arguments: Any, **fields: Any) -> Table:
        now[0] += 1.0
        made.append(now[0])
        return sweep_table(*arguments, **fields)

    with board_of(storage, sweep, expand(sweep), make_table=slow, clock=lambda: now[0]) as board:
        for trial in [*expand(sweep)] * 10:
            board.ended(trial, make_report())
            now[0] += 1.0
        assert len(made) == 2
        assert board.show_last() is not None
    assert len(made) == 3


LIMIT = "not all trials were begun: 10 seconds have passed"


def test_the_last_table_says_which_limit_was_reached(storage: Storage) -> None:
    """In storage as well, where a person without a service looks."""
    sweep = sweep_of()
    with board_of(storage, sweep, expand(sweep)) as board:
        table = board.show_last(LIMIT)
    assert table is not None
    assert LIMIT in table.notes
    assert LIMIT in storage.sweep("s").tables["markdown"].read_text()


def test_a_limit_is_kept_for_the_report(storage: Storage) -> None:
    """Which limit was reached first, by this driver's clock and with the GPU hours of all drivers."""
    now, pool = [5.0], StubPool(LOST)
    sweep = sweep_of(limits={"seconds": 10, "gpu_hours": 1})
    begun = begun_of(storage, sweep, pool, gpu_hours_before=0.5, began=2.0, clock=lambda: now[0])
    assert begun.may_begin()
    assert begun.limit is None
    now[0] = 12.0
    assert not begun.may_begin()
    pool.hours = 0.5
    assert not begun.may_begin()
    assert begun.limit == LIMIT
    assert not begun_of(storage, sweep, pool, gpu_hours_before=0.5).may_begin()


def test_a_server_that_hangs_holds_up_one_thread(storage: Storage) -> None:
    """While one tells MLflow, and for a while after it failed, the others go on without."""
    calls, hanging, entered = [], threading.Event(), threading.Event()

    class Hanging:
        def open(self, info: RunInfo) -> Opened:
            return Opened(RunIds("m1", "0"))

        def show_view(self, _: object) -> None:
            """Charts are shown at once."""

        def log_points(self, _: object) -> None:
            calls.append(threading.get_ident())
            entered.set()
            assert hanging.wait(10)
            raise TrackerError("no answer")

    connect: Any = lambda uri: Hanging()  # noqa: E731
    parent, table = ParentRun(sweep_of(), "s", storage, "http://mlflow", connect=connect), None
    show: Any = parent.show
    thread = threading.Thread(target=show, args=(table, {}, 1))
    thread.start()
    assert entered.wait(10)
    show(table, {}, 2)
    hanging.set()
    thread.join()
    show(table, {}, 3)
    assert len(calls) == 1
    show(table, {}, 4, last=True)
    assert len(calls) == 2
    (notice,) = read_notices(storage.sweep("s").attempt(1))
    assert notice.text.startswith(
        "MLflow answered with an error: no answer. Missing there: the sweep's newest"
    )
