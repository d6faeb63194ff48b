"""Each attempt of a sweep's trial is on record, as an experiment's is."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from service.adoption.adopt import adopt
from service.migrations import migrate
from service.reconcile.retry_on_request import retry
from service.shared.settings import Settings
from service.store.attempts.values import AttemptRecord
from service.store.experiments import Store
from tests.unit.service.conftest import World
from tests.unit.service.reconcile.test_sweep_reconcile import running
from tests.unit.service.sweep_job import SweepJob


def on_record(world: World, identifier: str) -> list[AttemptRecord]:
    return world.store.attempts(identifier)[0]


def test_an_attempt_is_there_while_it_goes_on_and_when_it_has_ended(world: World) -> None:
    """Under the job of its sweep, with host, times, log and why it ended; none of a trial that waits."""
    job = running(world)
    job.begin(0)
    world.settings.layout.attempt(job.id(0), 1).host.write("node-3\n")
    world.step()
    (going,) = on_record(world, job.id(0))
    assert (going.attempt, going.job_id, going.host) == (1, f"{job.sweep}-1", "node-3")
    assert (going.ended_at, going.reason) == (None, "seen running")
    assert going.log == f"runs/{job.id(0)}/1/log.txt"
    assert on_record(world, job.id(1)) == []
    job.complete(0)
    world.step()
    (ended,) = on_record(world, job.id(0))
    assert (ended.error_type, ended.counted, ended.reason) == (None, False, "report with a result")
    assert ended.started_at is not None
    assert ended.ended_at is not None


def test_a_loss_within_the_sweep_and_the_end_after_it(world: World) -> None:
    """A worker that went counts, a node does not; the reasons say what was tried again."""
    job = running(world)
    job.fail(0, 1, kind="WorkerLost", retryable=True)
    job.fail(0, 2, kind="NodeLost", retryable=True)
    job.fail(0, 3)
    world.step()
    lost, gone, failed = on_record(world, job.id(0))
    assert [each.error_type for each in (lost, gone, failed)] == ["WorkerLost", "NodeLost", "DataError"]
    assert [each.counted for each in (lost, gone, failed)] == [True, False, True]
    assert lost.reason == "WorkerLost: label 77; tried again by its sweep"
    assert failed.reason == "report with an error"
    assert len({each.job_id for each in (lost, gone, failed)}) == 1


def lost_with_its_cluster(world: World) -> SweepJob:
    """A sweep of which one trial was in its first attempt when the cluster went, and is in its second now."""
    job = running(world)
    job.begin(0)
    began = world.now.timestamp()  # the world's clock is not the file system's
    os.utime(world.settings.layout.attempt(job.id(0), 1).spec.local, (began, began))
    world.step()
    world.backend.lose(f"{job.sweep}-1")
    world.step()
    world.step(10)
    world.backend.run(f"{job.sweep}-2")
    world.step()
    job.begin(0, 2)
    world.step()
    return job


def test_what_went_with_the_sweeps_job(world: World) -> None:
    """The attempt ended as that job did, by name."""
    job = lost_with_its_cluster(world)
    first, second = on_record(world, job.id(0))
    assert (first.error_type, first.counted) == ("JobLost", False)
    assert first.ended_at is not None
    assert first.reason == "its sweep's job ended while it ran"
    assert second.ended_at is None


def test_a_job_of_its_own_is_recorded_after_those_of_the_sweep(world: World) -> None:
    """A trial that is retried by itself keeps what was before."""
    job = running(world)
    job.fail(0)
    world.step()
    retry(world.store, world.settings.layout, world.store.get(job.id(0)), world.now)
    world.step()
    world.backend.run(f"{job.id(0)}-2")
    world.step()
    jobs = [each.job_id for each in on_record(world, job.id(0))]
    assert jobs == [f"{job.sweep}-1", f"{job.id(0)}-2"]


def test_they_go_with_their_sweep(world: World) -> None:
    """No record is left of what was deleted."""
    job = running(world)
    job.complete(0)
    job.end()
    world.step()
    world.store.removals.sweep(job.sweep, now=world.now, detail="")
    with world.store._database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM attempts").scalar() == 0


def test_they_come_back_with_an_adopted_sweep(world: World, tmp_path: Path) -> None:
    """As the directories tell them."""
    job = running(world)
    world.settings.layout.sweep(job.sweep).spec.write(job.spec.model_dump_json())
    job.fail(0, 1, kind="WorkerLost", retryable=True)
    job.complete(0, 2)
    job.end()
    world.step()
    before = on_record(world, job.id(0))
    assert world.settings.storage is not None
    settings = Settings(data_dir=tmp_path / "new", storage=world.settings.storage)
    migrate(settings)
    with closing(Store(settings.database)) as store:
        new = World(settings, store, backend=world.backend, now=world.now)
        adopt(store, settings.layout)
        new.step()
        assert on_record(new, job.id(0)) == before
