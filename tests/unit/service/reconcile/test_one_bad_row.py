"""What goes wrong with one experiment, trial or sweep stops none of the others: bad files, bad luck, bugs."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from sqlalchemy.exc import DataError

from service.reconcile.cluster import BackendUnreachable, JobObservation
from service.reconcile.passes.mishaps import Mishaps
from service.reconcile.reconciler import Reconciler
from service.shared.settings import Settings
from service.shared.states import State
from service.store.database import Database
from service.store.experiments import Store
from service.store.records import Conflict, StoreUnavailable
from sweeps.results.trial_progress import lost_attempts
from tests.fakes import FakeBackend, FakeRuns
from tests.unit.service.conftest import World
from tests.unit.service.reconcile.test_sweep_reconcile import running, states, sweep_row
from tests.unit.service.sweep_job import optuna_document
from trainer.base.errors import Cancelled, ReportError
from trainer.results.report import read_report
from trainer.storage.orders import stop_asked
from trainer.storage.posix import PosixFile

LATIN = "für später\n".encode("latin-1")


class Moody(FakeBackend):
    """A cluster that breaks, as nobody expects, over the jobs named in `hated`."""

    def __init__(self) -> None:
        super().__init__()
        self.hated: set[str] = set()

    def submit(self, job_id: str, command: object, metadata: object) -> None:
        self._mind(job_id)
        super().submit(job_id, command, metadata)  # type: ignore[arg-type]

    def status(self, job_id: str) -> JobObservation:
        self._mind(job_id)
        return super().status(job_id)

    def _mind(self, job_id: str) -> None:
        if job_id in self.hated:
            raise ZeroDivisionError(job_id)


@pytest.fixture
def moody(world: World) -> Moody:
    world.backend = Moody()
    world.reconciler = Reconciler(world.store, world.backend, world.settings)
    return world.backend


# ---------------------------------------------------------------- files


def test_a_report_in_another_encoding_is_no_report(tmp_path: Path) -> None:
    """It is refused as any other file that is none."""
    path = PosixFile(tmp_path / "report.json")
    path.write(LATIN)
    with pytest.raises(ReportError, match="byte 1 is not UTF-8"):
        read_report(path)


def test_a_stop_file_in_another_encoding_stops(tmp_path: Path) -> None:
    """Whoever wrote it by hand wanted the trial to end, not to fail."""
    path = PosixFile(tmp_path / "stop")
    path.write(LATIN)
    asked = stop_asked(path)
    assert type(asked) is Cancelled
    assert "sp" in str(asked)


@pytest.mark.parametrize("content", [b"{}", LATIN])
def test_an_old_report_that_is_none(world: World, content: bytes) -> None:
    """Below one that tells of a lost worker it is no loss, and all trials of the sweep are followed."""
    job = running(world)
    job.begin(0)
    job.fail(0, 2, kind="WorkerLost", retryable=True)
    job.storage.attempt(job.id(0), 1).report.write(content)
    job.complete(1)
    assert lost_attempts(job.storage, job.id(0)) == 1
    world.step()
    assert states(world, job)[:2] == [State.SUBMITTED, State.COMPLETED]
    job.complete(0, 3)
    world.step()
    assert states(world, job)[0] is State.COMPLETED


def test_the_newest_report_is_none(world: World) -> None:
    """The trial has failed, with that as its error; so has an experiment of its own."""
    job = running(world)
    job.begin(0)
    job.storage.attempt(job.id(0), 1).report.write(LATIN)
    world.add()
    world.step()
    world.path_of().joinpath("report.json").write_bytes(LATIN)
    world.backend.finish("e1-1")
    world.step()
    world.step(10)
    assert world.store.get(job.id(0)).error_type == "ReportError"
    assert world.store.get("e1").error_type == "ReportError"


def test_a_pause_written_by_hand_in_another_encoding(world: World) -> None:
    """It stays, as any that is not the service's, and the sweep is followed."""
    job = running(world)
    job.storage.sweep(job.sweep).pause.write(LATIN)
    job.begin(0)
    world.step()
    assert job.storage.sweep(job.sweep).pause.exists()
    assert states(world, job)[0] is State.RUNNING


# ---------------------------------------------------------------- mishaps


def test_one_experiment(world: World, moody: Moody, caplog: pytest.LogCaptureFixture) -> None:
    """The others are followed; it is told once, and goes on by itself when the cause is gone."""
    for name in ("e1", "e2"):
        world.add(name)
    world.step()
    for name in ("e1", "e2"):
        moody.run(f"{name}-1")
    moody.hated = {"e1-1"}
    with caplog.at_level(logging.ERROR):
        world.step()
        world.step()
    assert (world.state("e1"), world.state("e2")) == (State.SUBMITTED, State.RUNNING)
    told = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.row for record in told] == ["e1"]  # type: ignore[attr-defined]
    moody.hated = set()
    world.step()
    assert world.state("e1") is State.RUNNING


def test_storage_that_fails_is_told_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Not in each pass: it may last for hours, and the log may lie on the disk that is full."""
    world.add()
    runs = world.settings.layout.root / "runs"
    runs.parent.mkdir(parents=True, exist_ok=True)
    runs.write_text("no directory")
    for _ in range(3):
        world.step()
    assert [each.message for each in caplog.records].count("storage trouble") == 1
    runs.unlink()
    world.step()
    assert world.state() is State.SUBMITTED


def test_one_trial(world: World) -> None:
    """Its neighbours in the sweep go on, and the sweep ends; it ends when it can be read."""
    job = running(world)
    job.begin(0)
    job.begin(1)
    spec = job.storage.attempt(job.id(0), 1).spec.local
    good = spec.read_bytes()
    spec.write_text("[" * 100_000)  # json raises RecursionError
    world.step()
    assert states(world, job)[:2] == [State.QUEUED, State.RUNNING]
    job.end()
    world.step()
    assert sweep_row(world, job).state is State.COMPLETED
    assert states(world, job) == [State.QUEUED, *[State.CANCELLED] * 3]
    spec.write_bytes(good)
    world.step()
    assert states(world, job)[0] is State.CANCELLED


def test_one_sweep(world: World) -> None:
    """A trial drawn under a name that no database takes stops neither another sweep nor an experiment."""
    bad, well = running(world, optuna_document()), running(world)
    bad.begin(0)
    path = bad.storage.sweep(bad.sweep).trial(0).local
    path.write_text(json.dumps({**json.loads(path.read_text()), "row": "\ud800"}))
    well.begin(0)
    world.step()
    assert world.store.trials(bad.sweep) == []
    assert states(world, well)[0] is State.RUNNING


def test_one_that_cannot_be_submitted(migrated: Settings) -> None:
    """It takes no place: with one place, the next in the queue gets it."""
    store = Store(migrated.database)
    world = World(migrated.model_copy(update={"max_running": 1}), store, backend=Moody())
    assert isinstance(world.backend, Moody)
    world.backend.hated = {"e1-1"}
    for name in ("e1", "e2", "e3"):
        world.add(name)
    world.step()
    assert [world.state(name) for name in ("e1", "e2", "e3")] == [State.QUEUED, State.SUBMITTED, State.QUEUED]
    store.close()


def test_one_mlflow_run(world: World) -> None:
    """The others are closed all the same, and it is not asked for ever."""

    class Runs(FakeRuns):
        def close_run(self, run_id: str, status: str) -> None:
            if run_id == "m1":
                raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
            super().close_run(run_id, status)

    world.runs = Runs()
    world.reconciler = Reconciler(world.store, world.backend, world.settings, runs=world.runs)
    for number in (1, 2):
        world.add(f"e{number}", mlflow_run_id=f"m{number}", mlflow_status_due="KILLED", state=State.CANCELLED)
    world.step()
    assert world.runs.closed == {"m2": "KILLED"}
    assert world.store.with_mlflow_due(limit=10) == []


def test_what_comes_back_is_told_again(world: World, moody: Moody, caplog: pytest.LogCaptureFixture) -> None:
    """Once while it lasts; after it was well for a while the same trouble is news."""
    world.add()
    world.step()
    moody.run("e1-1")
    world.step()
    for _ in range(2):
        moody.hated = {"e1-1"}
        for _ in range(60):
            world.step(20)
        moody.hated = set()
        world.step()
        world.step(3600)
    told = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(told) == 2


@pytest.mark.parametrize("error", [StoreUnavailable, BackendUnreachable, Conflict, OSError])
def test_what_is_expected_is_no_mishap(error: type[Exception]) -> None:
    """What concerns all rows, or is handled elsewhere, passes."""
    with pytest.raises(error), Mishaps().confined("e1"):
        raise error("x")


def test_a_value_that_the_database_refuses_is_not_its_absence(migrated: Settings) -> None:
    """Only what would hold for any row is StoreUnavailable, which gives the pass up for all."""
    database = Database(migrated.database)
    refused = DataError("INSERT", {}, ValueError("NUL in text"))
    with pytest.raises(DataError), database.writing():
        raise refused
    database.close()
