"""A sweep whose own run MLflow lacks something of: sent again by itself, and where somebody asks."""

from __future__ import annotations

import pytest

from service.housekeeping.delete import Deletion
from service.reconcile.track_requests import ask_to_track, pending_try
from service.store.records import Conflict
from tests.unit.service.conftest import World
from tests.unit.service.reconcile.test_sweep_reconcile import running, sweep_row
from tests.unit.service.sweep_job import SweepJob
from trainer.storage.tracking import TrackingRecord, Trouble, write_record


def told(world: World, job: SweepJob, state: str, by: str) -> None:
    trouble = Trouble.UNREACHABLE if state == "behind" else None
    record = TrackingRecord.model_validate({"state": state, "by": by, "trouble": trouble})
    write_record(world.settings.layout.sweep(job.sweep).tracked.record, record)


def ended(world: World, job: SweepJob) -> None:
    for number in range(4):
        job.complete(number)
    world.settings.layout.sweep(job.sweep).mlflow.write('{"run_id": "parent", "experiment_id": "1"}')
    job.end()
    world.step()
    world.step(60)


def test_it_is_sent_where_somebody_asks(world: World) -> None:
    """By one small job, however often it is asked for meanwhile; then the row is settled."""
    job = running(world)
    with pytest.raises(Conflict, match=f"sweep {job.sweep} is running; its job sends"):
        ask_to_track(world.store.sweeps, world.settings, sweep_row(world, job), world.now)
    ended(world, job)
    assert sweep_row(world, job).mlflow_status_due is None
    assert world.runs.closed == {"parent": "FINISHED"}
    for _ in range(2):
        ask_to_track(world.store.sweeps, world.settings, sweep_row(world, job), world.now)
        world.step()
    (sending,) = [name for name in world.backend.jobs if "track" in name]
    assert sending == f"{job.sweep}-track-1"
    command = world.backend.jobs[sending].command
    assert command[1:5] == ("-m", "sweeps.track", "--sweep", job.sweep)
    assert command[-4:] == ("--number", "1", "--status", "FINISHED")
    row = sweep_row(world, job)
    assert pending_try(world.settings.layout, row) is not None
    with pytest.raises(Conflict, match="is being sent to MLflow again"):
        Deletion(world.store, world.settings.layout, world.runs).sweep(
            job.sweep, artifacts=True, now=world.now
        )
    told(world, job, "ok", "track 1")
    world.backend.finish(sending)
    world.step(60)
    assert sweep_row(world, job).mlflow_status_due is None
    happened = [each.reason for each in world.store.sweeps.history(job.sweep, after=0, limit=99)[0]]
    assert happened[-1] == f"job {sending} sends everything to MLflow again"


def test_what_its_job_could_not_send_is_sent_by_itself(world: World) -> None:
    """Once MLflow answers; another try follows one that failed."""
    job = running(world)
    told(world, job, "behind", "attempt 1")
    world.runs.down = True
    ended(world, job)
    assert not [name for name in world.backend.jobs if "track" in name]
    world.runs.down = False
    world.step(60)
    first = f"{job.sweep}-track-1"
    assert first in world.backend.jobs
    told(world, job, "behind", "track 1")
    world.backend.finish(first)
    world.step(600)
    assert f"{job.sweep}-track-2" in world.backend.jobs
