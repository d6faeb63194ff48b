"""Follow-ups through the reconciler: one job each, in the queue with all others."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from service.reconcile.cluster import JobStatus
from service.reconcile.reconciler import Reconciler
from service.reconcile.retry_on_request import retry_followup
from service.shared.settings import Settings
from service.shared.states import State
from service.store.new_rows import new_followup
from service.store.records import Conflict, Followup
from tests.unit.service.conftest import START, World
from tests.unit.service.followup_job import REQUESTS, failed_followup, followup_report, leave, request
from tests.unit.service.reconcile.test_sweep_reconcile import running as running_sweep
from trainer.spec.followups import parse_followup
from trainer.storage.notices import Notice, add_notice
from trainer.storage.tracking import TrackingRecord, write_record


def store(world: World, kind: str = "evaluation", *, at: datetime = START, **changes: Any) -> Followup:
    """A stored follow-up of e1, which has completed."""
    if not world.store.in_states(*State):
        world.add("e1", state=State.COMPLETED, mlflow_run_id="m1")
    new = new_followup("e1", request(kind, **changes), now=at, key=None, request_hash="h")
    return world.store.followups.create(new)


def running(world: World, kind: str = "evaluation", **changes: Any) -> Followup:
    """One whose job runs."""
    row = store(world, kind, **changes)
    world.step()
    world.backend.run(row.job_id)
    world.step()
    return now_of(world, row)


def now_of(world: World, row: Followup) -> Followup:
    return world.store.followups.get(row.id)


def reasons(world: World, row: Followup) -> list[str]:
    return [event.reason for event in world.store.followups.history(row.id, after=0, limit=100)[0]]


@pytest.mark.parametrize("kind", list(REQUESTS))
def test_a_job_of_its_own(world: World, kind: str) -> None:
    """Submitted once, with a command that names it, its experiment and its request."""
    row = store(world, kind)
    world.step()
    world.step()
    assert list(world.backend.jobs) == [f"{row.id}-1"]
    job = world.backend.jobs[f"{row.id}-1"]
    assert job.command[:3] == ("python", "-m", "trainer.followup")
    told = dict(zip(job.command[3::2], job.command[4::2], strict=True))
    here = world.settings.layout.followup("e1", row.id).attempt(1)
    assert (told["--experiment"], told["--followup"], told["--attempt"]) == ("e1", row.id, "1")
    assert told["--spec"] == str(here.spec)
    assert parse_followup(json.loads(here.spec.read_text())) == request(kind)
    assert job.metadata["followup"] == row.id


def test_a_trials_job_is_told_its_sweeps_tags(world: World) -> None:
    """Should its run have been deleted, the one made anew lies below the sweep's again."""
    job = running_sweep(world)
    job.complete(0)
    world.step()
    new = new_followup(job.id(0), request(), now=START, key=None, request_hash="h")
    world.store.followups.create(new)
    world.step()
    assert f"--mlflow-tag=rebalance.sweep={job.sweep}" in world.backend.jobs[f"{new.id}-1"].command


def test_the_whole_way(world: World) -> None:
    """Running, then completed with the scores of each mode; its experiment's MLflow run keeps its status."""
    row = running(world)
    assert row.state is State.RUNNING
    leave(world.settings.layout, followup_report(row, mlflow_run_id="m1"))
    world.step()
    row = now_of(world, row)
    assert (row.state, row.mlflow_run_id, row.mlflow_status_due) == (State.COMPLETED, "m1", None)
    assert row.headline is not None
    assert list(row.headline) == ["single_scale", "multi_scale"]
    assert set(row.headline["multi_scale"]) >= {"mIoU", "tail_mIoU"}
    assert world.runs.closed == {}
    assert world.state("e1") is State.COMPLETED
    assert reasons(world, row)[-1] == "report with a result"


@pytest.mark.parametrize("kind", ["prediction", "export"])
def test_without_scores(world: World, kind: str) -> None:
    """A picture or an export completes with its result alone."""
    row = running(world, kind)
    leave(world.settings.layout, followup_report(row))
    world.step()
    assert (now_of(world, row).state, now_of(world, row).headline) == (State.COMPLETED, None)


def test_an_error_that_stays(world: World) -> None:
    """Not tried again; nothing is due at MLflow."""
    row = running(world)
    leave(world.settings.layout, failed_followup(row))
    world.step()
    row = now_of(world, row)
    assert (row.state, row.error_type, row.mlflow_status_due) == (State.FAILED, "CheckpointError", None)


def test_a_lost_worker_is_tried_again(world: World) -> None:
    """As an experiment's would be, up to as many failures."""
    row = running(world)
    for attempt in (1, 2, 3):
        row = now_of(world, row)
        assert row.attempt == attempt
        leave(world.settings.layout, failed_followup(row, retryable=True))
        world.backend.finish(row.job_id, JobStatus.FAILED)
        world.step()
        world.step(60)  # the pause after a failure
    assert now_of(world, row).state is State.FAILED


def test_a_report_of_another_is_none(world: World) -> None:
    """A report that names another follow-up ends this one as unreadable."""
    row = running(world)
    other = replace(row, id="eval-0000000000")
    here = world.settings.layout.followup("e1", row.id).attempt(1)
    here.report.write(followup_report(other).model_dump_json())
    world.backend.finish(row.job_id)
    world.step()
    world.step(10)
    row = now_of(world, row)
    assert (row.state, row.error_type) == (State.FAILED, "ReportError")


def test_cancelled_in_the_queue_and_running(world: World) -> None:
    """One that waits is never submitted; one that runs is stopped."""
    world.backend.down = True
    waiting = store(world)
    world.store.followups.request_cancel(waiting.id, now=world.now)
    world.step()
    assert now_of(world, waiting).state is State.CANCELLED
    world.backend.down = False
    row = running(world)
    world.store.followups.request_cancel(row.id, now=world.now)
    for _ in range(3):  # asked to stop, seen stopped, and no report came
        world.step(10)
    assert now_of(world, row).state is State.CANCELLED
    assert now_of(world, row).mlflow_status_due is None


def test_tried_again_on_request(world: World) -> None:
    """The next attempt is a job of its own; one that has completed is not tried again."""
    row = running(world)
    leave(world.settings.layout, failed_followup(row))
    world.step()
    storage, ledger = world.settings.layout, world.store.followups
    again = retry_followup(ledger, storage, now_of(world, row), world.now)
    assert (again.state, again.attempt) == (State.QUEUED, 2)
    world.step()
    leave(storage, followup_report(again))
    world.step()
    assert now_of(world, row).state is State.COMPLETED
    with pytest.raises(Conflict, match="only one that failed or was cancelled"):
        retry_followup(ledger, storage, now_of(world, row), world.now)


def test_one_queue_for_all(world: World) -> None:
    """What was posted first is submitted first, and a follow-up takes one of the places."""
    store(world, at=START + timedelta(seconds=2))
    world.add("late", created_at=START + timedelta(seconds=3))
    first = store(world, "export", at=START + timedelta(seconds=1))
    world.step()
    assert world.settings.max_running == 2
    assert "late-1" not in world.backend.jobs
    leave(world.settings.layout, followup_report(first))
    world.step()
    assert "late-1" in world.backend.jobs


def test_notices_are_told(world: World) -> None:
    """What its job notices stands in the row and among its events, once."""
    row = running(world)
    notice = Notice(code="mlflow", text="MLflow did not take it", hint="rebalance track e1")
    add_notice(world.settings.layout.followup("e1", row.id).attempt(1), notice)
    world.step()
    world.step()
    assert now_of(world, row).notices == [notice.model_dump()]
    assert reasons(world, row).count(str(notice)) == 1


@pytest.mark.parametrize("whose", ["its own", "another's"])
def test_what_mlflow_did_not_take_is_sent(world: World, whose: str) -> None:
    """By a job of the experiment's, as after a training; what another has noted is left to that one."""
    row = running(world)
    by = f"followup {row.id if whose == 'its own' else 'eval-other'}"
    record = TrackingRecord(state="behind", by=by, trouble=None, text="away")
    write_record(world.settings.layout.tracked("e1").record, record)
    leave(world.settings.layout, followup_report(row, mlflow_run_id="m1"))
    world.step()
    sent = [
        job for job in world.backend.jobs.values() if job.command[:3] == ("python", "-m", "trainer.track")
    ]
    assert len(sent) == (whose == "its own")


def test_a_restart_of_the_service(world: World, settings: Settings) -> None:
    """Another reconciler reads from database and storage what happened meanwhile."""
    row = running(world)
    leave(world.settings.layout, followup_report(row))
    world.backend.lose(row.job_id)
    world.reconciler = Reconciler(world.store, world.backend, settings, runs=world.runs)
    world.step()
    assert now_of(world, row).state is State.COMPLETED
