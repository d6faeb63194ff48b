"""Experiments that MLflow lacks something of: the reconciler has it sent again, and says so."""

from __future__ import annotations

import pytest

from service.reconcile.cluster import AccessRefused, JobStatus
from service.reconcile.reconciler import Reconciler
from service.reconcile.retry_on_request import retry
from service.reconcile.track_requests import ask_to_track, pending_try
from service.shared.states import State
from service.store.records import Conflict, Experiment
from tests.data_factories import make_report, make_spec
from tests.unit.service.conftest import World, failed_report
from trainer.storage.notices import Notice, add_notice
from trainer.storage.tracking import CODE, TrackingRecord, Trouble, write_record

TEXT = "MLflow was not reached: [Errno 111] Connection refused. Missing there: curves"


def leave_record(world: World, state: str, by: str, *, text: str = "", identifier: str = "e1") -> None:
    """What a job notes of what MLflow took."""
    trouble = Trouble.UNREACHABLE if state == "behind" else None
    record = TrackingRecord.model_validate({"state": state, "by": by, "text": text, "trouble": trouble})
    write_record(world.settings.layout.tracked(identifier).record, record)


def ended_behind(world: World, identifier: str = "e1") -> Experiment:
    """An experiment that has completed while MLflow was down."""
    world.runs.down = True
    world.add(identifier)
    world.step()
    world.backend.run(f"{identifier}-1")
    leave_record(world, "behind", "attempt 1", text=TEXT, identifier=identifier)
    add_notice(world.settings.layout.attempt(identifier, 1), Notice(code=CODE, text=TEXT))
    world.leave_report(make_report(identifier))
    world.step()
    assert world.state(identifier) is State.COMPLETED
    return world.store.get(identifier)


def test_it_is_sent_again_once_mlflow_answers(world: World) -> None:
    """Not before; then by a job of its own, whose outcome is an event, and whose run is the row's."""
    ended_behind(world)
    assert TEXT in world.reasons()[-2]
    world.step(60)
    assert "e1-track-1" not in world.backend.jobs
    world.runs.down = False
    world.step(60)
    command = world.backend.jobs["e1-track-1"].command
    assert command[1:5] == ("-m", "trainer.track", "--experiment", "e1")
    assert command[-6:] == ("--mlflow-uri", "http://mlflow:5000", "--number", "1", "--status", "FINISHED")
    assert world.reasons()[-1] == "job e1-track-1 sends everything to MLflow again"
    world.step()
    assert len(world.backend.jobs) == 2
    world.settings.layout.mlflow_run("e1").write('{"run_id": "new", "experiment_id": "1"}')
    add_notice(world.settings.layout.attempt("e1", 1), Notice(code=CODE, text="tracking caught up"))
    leave_record(world, "ok", "track 1")
    world.backend.finish("e1-track-1")
    world.step()
    row = world.store.get("e1")
    assert (row.mlflow_status_due, row.mlflow_run_id) == (None, "new")
    assert world.reasons()[-1] == "tracking caught up"
    world.step(3600)
    assert len(world.backend.jobs) == 2
    assert world.runs.closed == {}


@pytest.mark.slow
def test_a_job_that_dies_is_followed_by_another(world: World) -> None:
    """With longer pauses each time, and not for ever: in the end an event says what a person may do."""
    ended_behind(world)
    world.runs.down = False
    for _ in range(400):
        world.step(3600)
        for job_id in list(world.backend.jobs):
            if "track" in job_id:
                world.backend.finish(job_id, JobStatus.FAILED)
    assert sum("track" in job_id for job_id in world.backend.jobs) == 7
    assert world.reasons()[-1].endswith("`rebalance track e1`")
    assert world.store.get("e1").mlflow_status_due is None


def test_a_restart_repeats_nothing(world: World) -> None:
    """A try that was noted before the cluster went away has the same job when it is back."""
    ended_behind(world)
    world.runs.down, world.backend.down = False, True
    world.step(60)
    assert world.settings.layout.tracked("e1").requests.exists() is False
    world.backend.down = False
    world.step(60)
    world.backend.lose("e1-track-1")
    world.step(60)
    assert [job for job in world.backend.jobs if "track" in job] == ["e1-track-1"]


def test_two_at_a_time(world: World) -> None:
    """After a long outage not every experiment's job starts at once; all have theirs in the end."""
    names = [f"e{number}" for number in range(5)]
    for name in names:
        ended_behind(world, name)
    world.runs.down = False
    most = 0
    for _ in range(20):
        world.step(60)
        running = [
            name for name, job in world.backend.jobs.items() if "track" in name and not job.status.over
        ]
        most = max(most, len(running))
        for name in running:
            leave_record(world, "ok", "track 1", identifier=name.removesuffix("-track-1"))
            world.backend.finish(name)
    assert most == 2
    assert {f"{name}-track-1" for name in names} <= world.backend.jobs.keys()
    assert world.store.with_mlflow_due(limit=10) == []


def test_a_server_that_lets_only_jobs_in_is_tried(world: World) -> None:
    """The service has no credentials; jobs may."""
    ended_behind(world)
    world.runs.down = False

    def refuse() -> None:
        raise AccessRefused("401")

    world.runs.ping = refuse  # type: ignore[method-assign]
    world.step(60)
    assert "e1-track-1" in world.backend.jobs


def test_a_server_that_refuses_the_service_stops_nothing(world: World) -> None:
    """Runs are closed by their jobs then: a row whose run the service cannot close holds up no other."""
    ended_behind(world)
    world.runs.down = False
    world.add("e0", mlflow_run_id="m0", mlflow_status_due="KILLED", state=State.CANCELLED)

    def refuse(*_: object) -> None:
        raise AccessRefused("401")

    world.runs.ping = world.runs.close_run = refuse  # type: ignore[method-assign]
    world.step(60)
    assert world.store.get("e0").mlflow_status_due is None
    assert "e1-track-1" in world.backend.jobs


def test_what_is_asked_during_a_pass_is_not_lost(world: World) -> None:
    """Between the look at a row and its end somebody asks for everything again: the next pass does it."""
    closed = world.runs.close_run

    def asked_meanwhile(run_id: str, status: str) -> None:
        closed(run_id, status)
        if len(world.runs.closed) == 1:
            ask_to_track(world.store, world.settings, world.store.get("e1"), world.now)

    world.runs.close_run = asked_meanwhile  # type: ignore[method-assign]
    world.add()
    world.step()
    world.settings.layout.mlflow_run("e1").write('{"run_id": "m1"}')
    world.leave_report(make_report("e1"))
    world.step()
    assert world.runs.closed == {"m1": "FINISHED"}
    assert world.store.get("e1").mlflow_status_due == "FINISHED"
    world.step()
    assert "e1-track-1" in world.backend.jobs


def test_a_retry_during_the_asking(world: World) -> None:
    """The run of an attempt that has begun since is not closed: the asking is refused."""
    world.add()
    world.step()
    world.backend.finish("e1-1", JobStatus.STOPPED)
    world.step()
    world.step(10)
    seen = world.store.get("e1")
    retry(world.store, world.settings.layout, seen, world.now)
    with pytest.raises(Conflict, match="queued in attempt 2"):
        world.store.mlflow_due(seen, "FAILED", now=world.now)
    assert world.store.get("e1").mlflow_status_due is None


def test_who_leads_no_more_goes_no_further(world: World) -> None:
    """It is asked before each row, whose run another service may see to by now."""
    for number in (1, 2):
        world.add(f"e{number}", mlflow_run_id=f"m{number}", mlflow_status_due="KILLED", state=State.CANCELLED)
    world.reconciler.run_once(world.now, lambda: not world.runs.closed)
    assert len(world.runs.closed) == 1


def test_a_restarted_service_counts_jobs_from_before(world: World) -> None:
    """Two that send still send: the third waits, though a person has asked for it."""
    for number in range(3):
        row = ended_behind(world, f"e{number}")
        if number < 2:
            ask_to_track(world.store, world.settings, row, world.now)
            world.step()
            world.backend.run(f"e{number}-track-1")
    world.reconciler = Reconciler(world.store, world.backend, world.settings, runs=world.runs)
    ask_to_track(world.store, world.settings, world.store.get("e2"), world.now)
    world.step(60)
    assert "e2-track-1" not in world.backend.jobs
    world.backend.finish("e0-track-1")
    world.step(60)
    assert "e2-track-1" in world.backend.jobs


def test_who_asks_is_not_kept_waiting(world: World) -> None:
    """On request it starts at once, also where MLflow seems down; asking twice is asking once."""
    row = ended_behind(world)
    for _ in range(2):
        row = ask_to_track(world.store, world.settings, row, world.now)
        world.step()
    assert pending_try(world.settings.layout, row) is not None
    assert [job for job in world.backend.jobs if "track" in job] == ["e1-track-1"]
    leave_record(world, "ok", "track 1")
    world.step()
    assert pending_try(world.settings.layout, world.store.get("e1")) is None
    ask_to_track(world.store, world.settings, world.store.get("e1"), world.now)
    world.step()
    assert "e1-track-2" in world.backend.jobs


def test_what_cannot_be_sent_is_refused(world: World) -> None:
    """No MLflow, no end yet, nothing to send: each is said."""
    row = world.add()
    with pytest.raises(Conflict, match="its job sends"):
        ask_to_track(world.store, world.settings, row, world.now)
    without = world.settings.model_copy(update={"mlflow_uri": None})
    with pytest.raises(Conflict, match="no MLflow"):
        ask_to_track(world.store, without, row, world.now)
    world.store.request_cancel("e1", now=world.now)
    world.step()
    with pytest.raises(Conflict, match="no attempt ever ran"):
        ask_to_track(world.store, world.settings, world.store.get("e1"), world.now)


def test_a_retry_takes_over(world: World) -> None:
    """The next attempt's own job sends what is missing; tries from before are not its own."""
    world.runs.down = True
    world.add()
    world.step()
    world.backend.finish("e1-1", JobStatus.STOPPED)
    leave_record(world, "behind", "attempt 1", text=TEXT)
    world.step()
    world.step(10)
    assert world.state() is State.FAILED
    world.runs.down = False
    world.step(60)
    retry(world.store, world.settings.layout, world.store.get("e1"), world.now)
    assert pending_try(world.settings.layout, world.store.get("e1")) is None
    world.step()
    leave_record(world, "ok", "attempt 2")
    world.leave_report(make_report("e1").model_copy(update={"attempt": 2}))
    world.step()
    world.step()
    assert world.state() is State.COMPLETED
    assert [job for job in world.backend.jobs if "track" in job] == ["e1-track-1"]
    assert world.store.get("e1").mlflow_status_due is None


def told_to_end(world: World, **words: object) -> None:
    """An experiment that was cancelled after its first checkpoint: its job wrote its report, and no more."""
    world.add(spec=make_spec(**words))
    world.step()
    world.backend.run("e1-1")
    world.settings.layout.attempt("e1", 1).plan.write("{}")
    world.settings.layout.checkpoints("e1").file("iter_100.pth").write(b"tensors")
    world.leave_report(failed_report("e1", kind="Cancelled").model_copy(update={"state": "cancelled"}))
    world.store.request_cancel("e1", now=world.now)
    world.step()
    world.backend.finish("e1-1", JobStatus.STOPPED)
    world.step()
    assert world.state() is State.CANCELLED


def test_checkpoints_of_a_run_that_was_told_to_end(world: World) -> None:
    """Where the spec asks for them in MLflow, a job sends them, once."""
    told_to_end(world, checkpoints={"track": ["last"]})
    world.step(60)
    assert "e1-track-1" in world.backend.jobs
    leave_record(world, "ok", "track 1")
    world.backend.finish("e1-track-1")
    world.step()
    world.step(3600)
    assert len(world.backend.jobs) == 2
    assert world.store.get("e1").mlflow_status_due is None


def test_checkpoints_that_nobody_asked_for(world: World) -> None:
    """The run is closed, and nothing is sent."""
    told_to_end(world)
    world.step(60)
    assert list(world.backend.jobs) == ["e1-1"]
    assert world.store.get("e1").mlflow_status_due is None
