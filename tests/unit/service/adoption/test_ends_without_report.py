"""What ended without a report of its own is adopted as what it is, and nothing begins again unasked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.adoption.adopt import adopt
from service.reconcile.cluster import JobStatus
from service.reconcile.retry_on_request import retry
from service.reconcile.stopping.pausing import pause, resume
from service.shared.settings import Settings
from service.shared.states import State
from service.store.attempts.values import Tried
from service.store.new_rows import new_sweep
from service.store.records import Experiment, Outcome
from sweeps.document.spec import parse_sweep
from tests.data_factories import make_report
from tests.unit.service.adoption.test_adopt import new_database
from tests.unit.service.conftest import World, failed_report
from tests.unit.service.sweep_job import sweep_document


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", report_grace_seconds=5, max_attempts=2)


@contextmanager
def adopted(world: World) -> Iterator[World]:
    """The database is lost, and all jobs; what lies there becomes rows, and time passes."""
    world.backend.jobs.clear()
    with new_database(world, world.settings.data_dir / "new") as new:
        assert adopt(new.store, new.settings.layout).left == {}
        for _ in range(4):
            new.step(600)
        yield new


def begun(world: World) -> None:
    """Its job runs, under a run in MLflow."""
    world.add()
    world.step()
    world.backend.run("e1-1")
    world.settings.layout.mlflow_run("e1").write('{"run_id": "m1"}')
    world.step()


def facts(row: Experiment) -> tuple[object, ...]:
    return (row.state, row.attempt, row.error_type, row.error_message, row.ended_at)


def errors(world: World) -> list[tuple[int, str | None]]:
    """What ended each attempt that is on record."""
    return [(each.attempt, each.error_type) for each in world.store.attempts("e1")[0]]


def check_same(world: World, state: State) -> None:
    """It is what it was, nothing of it is begun, and MLflow hears of its end."""
    before, ended_by = world.store.get("e1"), errors(world)
    assert before.state is state
    with adopted(world) as new:
        assert facts(new.store.get("e1")) == facts(before)
        assert errors(new) == ended_by
        assert new.backend.jobs == {}
        told = {State.CANCELLED: {"m1": "KILLED"}, State.FAILED: {"m1": "FAILED"}, State.PAUSED: {}}
        assert new.runs.closed == told[state]


def test_cancelled_by_force(world: World) -> None:
    """The directory of a newer attempt is there, in which nothing is."""
    begun(world)
    world.backend.stubborn = True
    world.store.request_cancel("e1", now=world.now)
    world.step()
    world.step(130)
    assert "by force" in world.reasons()[-1]
    check_same(world, State.CANCELLED)


def test_cancelled_while_its_job_was_killed(world: World) -> None:
    begun(world)
    world.store.request_cancel("e1", now=world.now)
    world.backend.finish("e1-1", JobStatus.STOPPED)
    world.step()
    world.step(10)
    check_same(world, State.CANCELLED)


def test_lost_once_too_often(world: World) -> None:
    """No attempts are left."""
    world.add()
    for attempt in (1, 2):
        world.step(600)
        world.backend.finish(f"e1-{attempt}", JobStatus.FAILED)
        world.step()
        world.step(10)
    world.settings.layout.mlflow_run("e1").write('{"run_id": "m1"}')
    check_same(world, State.FAILED)


def test_stopped_by_the_queue(world: World) -> None:
    """Its report says that it was told to end, and not for whom."""
    begun(world)
    row = world.store.get("e1")
    world.store.request_stop(row, "timeout_requested_at", "too long", now=world.now)
    report = failed_report("e1", kind="Cancelled").model_copy(update={"state": "cancelled"})
    world.leave_report(report)
    world.backend.finish("e1-1", JobStatus.STOPPED)
    world.step()
    assert world.store.get("e1").error_type == "DurationExceeded"
    check_same(world, State.FAILED)


@pytest.mark.parametrize("state", [State.CANCELLED, State.PAUSED])
def test_told_to_end_and_reported_so(world: World, state: State) -> None:
    """That somebody asked for it is no error of the attempt, whatever its report calls it."""
    begun(world)
    if state is State.PAUSED:
        pause(world.store, world.settings.layout, "e1", world.now)
    else:
        world.store.request_cancel("e1", now=world.now)
    kind = "Paused" if state is State.PAUSED else "Cancelled"
    world.leave_report(failed_report("e1", kind=kind).model_copy(update={"state": "cancelled"}))
    world.backend.finish("e1-1", JobStatus.STOPPED)
    world.step()
    check_same(world, state)


def test_paused_without_a_report(world: World) -> None:
    """Stopped before its first record: it rests, and goes on where somebody asks for it."""
    begun(world)
    pause(world.store, world.settings.layout, "e1", world.now)
    world.step()
    world.step()
    world.step(10)
    check_same(world, State.PAUSED)
    with new_database(world, world.settings.data_dir / "other") as new:
        adopt(new.store, new.settings.layout)
        assert resume(new.store, new.settings.layout, "e1", new.now).attempt == 2


def test_cancelled_while_it_waited_for_another_attempt(world: World) -> None:
    """The second never began; the first was lost."""
    begun(world)
    world.backend.finish("e1-1", JobStatus.FAILED)
    lost = Outcome(tried=Tried(error_type="JobLost"))
    world.store.transition(world.store.get("e1"), to=State.QUEUED, reason="lost", now=world.now, outcome=lost)
    world.store.request_cancel("e1", now=world.now)
    world.step()
    check_same(world, State.CANCELLED)


def test_one_that_was_retried_since_goes_on(world: World) -> None:
    """What was noted of the end before is of no more account."""
    begun(world)
    world.store.request_cancel("e1", now=world.now)
    world.backend.finish("e1-1", JobStatus.STOPPED)
    world.step()
    world.step(10)
    retry(world.store, world.settings.layout, world.store.get("e1"), world.now)
    world.step()
    assert world.state() is State.SUBMITTED
    with adopted(world) as new:
        assert (new.state(), sorted(new.backend.jobs)) == (State.SUBMITTED, ["e1-3"])


def test_a_result_goes_before_what_was_noted(world: World) -> None:
    """The database went away before the row moved, and the report came."""
    begun(world)
    world.settings.layout.end("e1").write(
        '{"attempt": 1, "state": "cancelled", "reason": "asked", "at": "2026-01-02T03:04:05Z"}'
    )
    world.leave_report(make_report("e1"))
    with adopted(world) as new:
        assert new.state() is State.COMPLETED


def test_by_force_before_there_were_notes(world: World) -> None:
    """Nobody knows whether it was cancelled: failed, with what there is to know, and it can be retried."""
    begun(world)
    world.settings.layout.attempt("e1", 2).folder.make()
    with adopted(world) as new:
        row = new.store.get("e1")
        assert (row.state, row.attempt, row.error_type) == (State.FAILED, 1, "Interrupted")
        assert "whether it was cancelled is not known" in (row.error_message or "")
        assert (new.backend.jobs, new.runs.closed) == ({}, {"m1": "FAILED"})
        (first,) = new.store.attempts("e1")[0]
        assert (first.error_type, first.ended_at is None) == ("Interrupted", False)
        assert retry(new.store, new.settings.layout, row, new.now).attempt == 3


def test_no_note_keeps_an_end_from_being_one(world: World) -> None:
    """A full disk, say: the row ends all the same."""
    begun(world)
    world.settings.layout.end("e1").local.mkdir()
    world.store.request_cancel("e1", now=world.now)
    world.backend.finish("e1-1", JobStatus.STOPPED)
    world.step()
    world.step(10)
    assert world.state() is State.CANCELLED


def test_what_never_began_leaves_nothing(world: World) -> None:
    world.backend.down = True
    world.add()
    world.store.request_cancel("e1", now=world.now)
    world.step()
    assert world.state() is State.CANCELLED
    assert not world.settings.layout.experiment("e1").exists()


@pytest.mark.parametrize("paused", [False, True])
def test_a_sweep(world: World, paused: bool) -> None:
    """Cancelled by force it stays so; one that starts no more trials still starts none."""
    new = new_sweep(parse_sweep(sweep_document()), now=world.now, key=None, request_hash="h")
    sweep = world.store.sweeps.create(new, [])
    world.settings.layout.sweep(sweep.id).spec.write(sweep.spec)
    world.step()
    world.backend.run(f"{sweep.id}-1")
    world.step()
    if paused:
        world.store.sweeps.pause(sweep.id, paused=True, now=world.now)
        world.step()
    else:
        world.backend.stubborn = True
        world.store.sweeps.request_cancel(sweep.id, now=world.now)
        world.step()
        world.step(130)
    before = world.store.sweeps.get(sweep.id)
    with new_database(world, world.settings.data_dir / "new") as again:
        assert adopt(again.store, again.settings.layout).followed == ([sweep.id] if paused else [])
        row = again.store.sweeps.get(sweep.id)
        assert (row.state is State.CANCELLED, row.paused) == (before.state is State.CANCELLED, paused)
        again.step()
        assert again.settings.layout.sweep(sweep.id).pause.exists() is paused
