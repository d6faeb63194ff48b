"""Rows made again from run directories: as they were, and followed to their end where they had none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from service.adoption.adopt import Adopted, adopt
from service.cli.main import main
from service.housekeeping.delete import Deletion
from service.migrations import migrate
from service.reconcile.cluster import JobStatus
from service.reconcile.run_directories import write_spec
from service.shared.settings import Settings
from service.shared.states import State
from service.store.experiments import Store
from service.store.records import Experiment, Filters, StoreUnavailable
from sweeps.document.spec import parse_sweep
from tests.data_factories import make_report, make_spec
from tests.unit.service.conftest import World, failed_report
from tests.unit.service.sweep_job import SweepJob, sweep_document
from trainer.base.ends import ExitCode
from trainer.spec.spec import canonical_json


@contextmanager
def new_database(world: World, directory: Path) -> Iterator[World]:
    """Another, empty database over the same storage and cluster: the first was lost."""
    assert world.settings.storage is not None
    settings = Settings(data_dir=directory, storage=world.settings.storage, report_grace_seconds=5)
    migrate(settings)
    with closing(Store(settings.database)) as store:
        yield World(settings, store, backend=world.backend, now=world.now)


def _ended(world: World) -> None:
    """One experiment of each end, submitted and ended by the service."""
    for name in ("done", "failed", "cancelled"):
        world.add(name, spec=make_spec(tags={"purpose": name}))
    world.step()
    world.leave_report(make_report("done"))
    world.leave_report(failed_report("failed"))
    world.store.request_cancel("cancelled", now=world.now)
    report = failed_report("cancelled", kind="Cancelled").model_copy(update={"state": "cancelled"})
    world.leave_report(report)
    for name in ("done", "failed", "cancelled"):
        world.backend.jobs[f"{name}-1"].status = JobStatus.STOPPED
    world.step()


def _facts(row: Experiment) -> tuple[object, ...]:
    return (
        row.name,
        row.state,
        row.attempt,
        row.spec,
        row.spec_hash,
        row.error_type,
        row.headline,
        row.model,
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", report_grace_seconds=5, max_running=9)


def test_ends_come_back_as_they_were(world: World, tmp_path: Path) -> None:
    """With tags and times; and the reconciler finds nothing to do about them."""
    _ended(world)
    with new_database(world, tmp_path / "new") as new:
        found = adopt(new.store, new.settings.layout)
        assert sorted(found.experiments) == ["cancelled", "done", "failed"]
        for name in found.experiments:
            assert _facts(new.store.get(name)) == _facts(world.store.get(name))
        with_tag, _ = new.store.page(Filters(tags=[("purpose", "done")]), cursor=None, limit=9)
        assert [row.id for row in with_tag] == ["done"]
        new.step()
        assert [new.state(name) for name in ("done", "failed", "cancelled")] == [
            State.COMPLETED,
            State.FAILED,
            State.CANCELLED,
        ]
        assert adopt(new.store, new.settings.layout) == Adopted(known=3)


def test_what_still_runs_is_followed_and_what_was_lost_goes_on(world: World, tmp_path: Path) -> None:
    """A job that the cluster has is not doubled; one that is gone is followed by the next attempt."""
    for name in ("runs", "gone"):
        world.add(name)
    world.step()
    world.backend.run("runs-1")
    del world.backend.jobs["gone-1"]
    with new_database(world, tmp_path / "new") as new:
        adopt(new.store, new.settings.layout)
        for _ in range(3):
            new.step(seconds=10)
        assert (new.state("runs"), new.store.get("runs").attempt) == (State.RUNNING, 1)
        assert (new.state("gone"), new.store.get("gone").attempt) == (State.SUBMITTED, 2)
        assert sorted(new.backend.jobs) == ["gone-2", "runs-1"]


def test_what_tells_too_little_is_left_and_named(world: World) -> None:
    storage = world.settings.layout
    storage.experiment("empty").make()
    storage.attempt("mute", 1).log.write("…")
    storage.attempt("broken", 1).spec.write("{")
    storage.attempt("torn", 1).report.write("{}")
    found = adopt(world.store, storage)
    assert sorted(found.left) == ["broken", "empty", "mute", "torn"]
    assert found.experiments == []


def test_a_sweep_comes_back_with_its_trials(world: World, tmp_path: Path, sweep_job: SweepJob) -> None:
    """Its trials are its own again, each where its run directory says."""
    sweep_job.complete(0)
    sweep_job.fail(1)
    sweep_job.end()
    with new_database(world, tmp_path / "new") as new:
        found = adopt(new.store, new.settings.layout)
        assert found.sweeps == [sweep_job.sweep]
        assert found.experiments == []
        new.step()
        states = new.store.sweeps.trial_states(sweep_job.sweep)
        assert states == {0: State.COMPLETED, 1: State.FAILED}
        assert new.store.sweeps.get(sweep_job.sweep).state is State.COMPLETED


@pytest.fixture
def sweep_job(world: World) -> SweepJob:
    """A sweep as `ray job submit` leaves it: without a row."""
    spec = parse_sweep(sweep_document())
    storage = world.settings.layout
    storage.sweep("swp-1").spec.write(spec.model_dump_json())
    storage.sweep("swp-1").attempt(1).spec.write(spec.model_dump_json())
    return SweepJob(storage, "swp-1", spec)


def test_from_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another storage is named by a flag; what was left makes the exit code."""
    settings = Settings(data_dir=tmp_path / "data", storage=tmp_path / "runs")
    migrate(settings)
    write_spec(settings.layout.attempt("e1", 1), canonical_json(make_spec()))
    flags = ["--data-dir", str(tmp_path / "data"), "--storage", str(tmp_path / "runs"), "--json"]
    assert main(["adopt", *flags]) == ExitCode.DONE
    told = json.loads(capsys.readouterr().out)
    assert (told["experiments"], told["followed"]) == (["e1"], ["e1"])
    settings.layout.attempt("e2", 1).log.write("…")
    assert main(["adopt", *flags]) == ExitCode.FAILED
    assert "e2" in json.loads(capsys.readouterr().out)["left"]


def test_attempts_come_with_their_row(world: World, tmp_path: Path) -> None:
    """The lost one, and the one that ended, each with its log; those of a sweep as well."""
    world.add()
    world.step()
    world.backend.finish("e1-1", JobStatus.FAILED)
    world.step()
    world.step(60)
    world.step()
    report = make_report("e1").model_copy(update={"attempt": 2})
    world.settings.layout.attempt("e1", 2).host.write("node-2")
    world.leave_report(report)
    with new_database(world, tmp_path / "other") as other:
        adopt(other.store, other.settings.layout)
        first, second = other.store.attempts("e1")[0]
    assert (first.error_type, first.job_id, first.ended_at is None) == ("JobLost", "e1-1", False)
    assert (second.error_type, second.host, second.log) == (None, "node-2", "runs/e1/2/log.txt")


def test_what_was_deleted_without_its_files_comes_back(world: World) -> None:
    """With its attempts, of which nothing had stayed."""
    world.add()
    world.step()
    world.leave_report(make_report("e1"))
    world.step()
    before = world.store.attempts("e1")[0]
    Deletion(world.store, world.settings.layout, None).experiment("e1", artifacts=False, now=world.now)
    assert adopt(world.store, world.settings.layout).experiments == ["e1"]
    again = world.store.attempts("e1")[0]
    assert [each.job_id for each in again] == [each.job_id for each in before] == ["e1-1"]


def test_a_row_comes_with_its_attempts_or_not_at_all(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database goes away in the middle: the next `adopt` takes all of it."""
    _ended(world)
    with new_database(world, tmp_path / "new") as new:
        with monkeypatch.context() as lost:
            lost.setattr(new.store, "keep_attempts", _gone)
            with pytest.raises(StoreUnavailable):
                adopt(new.store, new.settings.layout)
        assert sorted(adopt(new.store, new.settings.layout).experiments) == ["cancelled", "done", "failed"]
        assert all(new.store.attempts(name)[0] for name in ("cancelled", "done", "failed"))


def _gone(*_args: object) -> None:
    raise StoreUnavailable("connection lost")


def test_what_was_paused_still_is(world: World, tmp_path: Path) -> None:
    """It is no end, and goes on only where somebody asks for it."""
    world.add()
    world.step()
    report = failed_report("e1", kind="Paused").model_copy(update={"state": "cancelled"})
    world.leave_report(report)
    with new_database(world, tmp_path / "other") as other:
        adopt(other.store, other.settings.layout)
        other.step(100)
        row = other.store.get("e1")
        assert (row.state, row.error_type, row.ended_at) == (State.PAUSED, None, None)
        other.store.resume("e1", newest=1, now=other.now)
        other.step()
        assert other.state() is State.SUBMITTED
