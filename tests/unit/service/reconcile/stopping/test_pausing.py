"""An experiment rests because somebody asks for it, and goes on where it was."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pytest

from service.reconcile.cluster import JobObservation, JobStatus
from service.reconcile.retry_on_request import retry
from service.reconcile.stopping.pausing import pause, resume
from service.shared.settings import Settings
from service.shared.states import State
from service.store.experiments import Store
from service.store.records import Conflict
from tests.data_factories import make_report
from tests.fakes import FakeBackend
from tests.unit.service.conftest import START, World, failed_report
from trainer.results.report import AttemptError, AttemptReport


def begin(world: World, identifier: str = "e1", attempt: int = 1) -> None:
    """Its job trains: it has left a record."""
    world.step()
    world.backend.run(f"{identifier}-{attempt}")
    world.step()
    here = world.settings.layout.attempt(identifier, attempt)
    here.metrics.write('{"kind": "train", "iteration": 120, "loss": 0.5, "time": 1.0}\n')


def paused_report(attempt: int = 1) -> AttemptReport:
    """What a job leaves that read of the pause."""
    error = AttemptError(type="Paused", message="paused at iteration 120, where its checkpoint is")
    changes = {"state": "cancelled", "result": None, "error": error, "attempt": attempt}
    return make_report("e1").model_copy(update=changes)


def rest(world: World, attempt: int = 1) -> None:
    """The job writes its checkpoint and ends."""
    world.leave_report(paused_report(attempt))
    world.backend.finish(f"e1-{attempt}")
    world.step()


def ask(world: World) -> None:
    pause(world.store, world.settings.layout, "e1", world.now)


def go_on(world: World) -> None:
    resume(world.store, world.settings.layout, "e1", world.now)


def test_a_running_one_rests_and_goes_on(world: World) -> None:
    """Its job is asked by a file and never stopped; paused, it holds no place; resumed, it is another attempt
    of the same experiment, no failure is counted, and the new job is not asked to rest.
    """
    world.add()
    begin(world)
    ask(world)
    file = world.settings.layout.pause("e1")
    assert file.exists()
    world.step()
    assert (world.state(), world.backend.jobs["e1-1"].stops) == (State.RUNNING, 0)
    rest(world)
    row = world.store.get("e1")
    assert (row.state, row.attempt, row.failures, row.ended_at) == (State.PAUSED, 1, 0, None)
    assert (row.progress or {})["iteration"] == 120
    assert world.reasons()[-1] == "paused at iteration 120, where its checkpoint is"
    assert world.store.busy() == 0
    world.step(10**6)
    assert world.state() is State.PAUSED
    go_on(world)
    assert not file.exists()
    world.step()
    row = world.store.get("e1")
    assert (row.state, row.attempt, row.failures, row.pause_requested_at) == (State.SUBMITTED, 2, 0, None)
    assert row.mlflow_status_due is None


def test_a_queued_one_rests_at_once_and_keeps_its_attempt(world: World) -> None:
    """It is never submitted, and begins with attempt 1 once it is resumed."""
    world.add()
    ask(world)
    world.step()
    assert (world.state(), world.backend.jobs) == (State.PAUSED, {})
    go_on(world)
    world.step()
    assert list(world.backend.jobs) == ["e1-1"]


def test_a_submit_that_was_cut_off_is_not_forgotten(world: World) -> None:
    """A job that the row does not know of is found, and ends, before the row rests."""
    world.add()
    world.settings.layout.attempt("e1", 1).spec.write("{}")
    world.backend.submit("e1-1", ["python"], {})
    ask(world)
    world.step()
    assert world.state() is State.SUBMITTED
    world.step()
    assert world.backend.jobs["e1-1"].stops == 1
    world.step(10)
    world.step(10)
    assert world.state() is State.PAUSED


def test_one_without_a_record_is_stopped(world: World) -> None:
    """A job that still waits, for nodes say, has nothing to keep, and is not waited for."""
    world.add()
    world.step()
    world.backend.run("e1-1")
    world.step()
    ask(world)
    world.step()
    assert world.backend.jobs["e1-1"].stops == 1
    world.step()
    world.step(10)
    assert world.state() is State.PAUSED


def test_a_pause_that_is_taken_back_costs_nothing(world: World) -> None:
    """Before the job has read of it; afterwards the attempt that paused is followed by another, uncounted."""
    world.add()
    begin(world)
    ask(world)
    go_on(world)
    world.step()
    assert (world.state(), world.settings.layout.pause("e1").exists()) == (State.RUNNING, False)
    ask(world)
    world.leave_report(paused_report())
    go_on(world)
    world.backend.finish("e1-1")
    world.step()
    row = world.store.get("e1")
    assert (row.state.has_job, row.attempt, row.failures) == (True, 2, 0)


class Hasty(FakeBackend):
    """Somebody acts while a pass is under way: its rows are read, and the cluster is asked of their jobs."""

    meanwhile: Callable[[], None] = staticmethod(lambda: None)

    def status(self, job_id: str) -> JobObservation:
        if job_id not in self.jobs:
            self.meanwhile()
        return super().status(job_id)

    def logs(self, job_id: str) -> str:
        self.meanwhile()
        return super().logs(job_id)


@pytest.mark.parametrize("trains", [True, False])
def test_one_that_is_resumed_while_it_comes_to_rest_goes_on(migrated: Settings, trains: bool) -> None:
    """The pass that saw it paused is overtaken: nobody wants it to rest, and nobody would wake it."""
    backend = Hasty()
    with closing(Store(migrated.database)) as store:
        world = World(migrated, store, backend=backend)
        world.add()
        if trains:
            begin(world)
        else:  # a submit that was cut off: its job has to be looked for
            world.settings.layout.attempt("e1", 1).spec.write("{}")
        ask(world)
        backend.meanwhile = lambda: go_on(world)
        if trains:
            rest(world)
        else:
            world.step()
        for _ in range(3):
            world.step()
        row = world.store.get("e1")
        assert row.state.has_job, world.reasons()
        assert (row.attempt, row.failures) == (2 if trains else 1, 0)


def test_one_that_rests_though_nobody_wants_it_is_resumed(world: World) -> None:
    """As an earlier release may have left it."""
    world.add(state=State.PAUSED)
    go_on(world)
    assert world.state() is State.QUEUED


@pytest.mark.parametrize("reported", [True, False])
def test_a_pause_taken_back_before_the_first_record_loses_nothing(world: World, reported: bool) -> None:
    """The job was stopped for it, and ends after that, with a report or without, seen by another service: it
    begins again, uncounted.
    """
    world.backend.stubborn = True
    world.add()
    world.step()
    world.backend.run("e1-1")
    world.step()
    ask(world)
    world.step()
    assert world.backend.jobs["e1-1"].stops == 1
    go_on(world)
    world.__post_init__()
    if reported:
        error = AttemptError(type="Cancelled", message="stopped by SIGTERM")
        world.leave_report(paused_report().model_copy(update={"error": error}))
    world.backend.finish("e1-1", JobStatus.STOPPED)
    world.step()
    world.step(10)
    row = world.store.get("e1")
    assert (row.state.has_job, row.attempt, row.failures) == (True, 2, 0)
    assert any("a pause that was taken back" in reason for reason in world.reasons())


def test_a_job_that_outlived_its_stop_is_one_like_others(world: World) -> None:
    """A stop that came while it started missed it, and the pause was taken back. Stopped from outside hours
    later, it has failed: it does not begin again, unasked, for a pause that nobody remembers.
    """
    world.backend.stubborn = True
    world.add()
    world.step()
    ask(world)
    world.step()
    assert world.backend.jobs["e1-1"].stops == 1
    go_on(world)
    begin(world)
    world.step(3600)
    world.backend.finish("e1-1", JobStatus.STOPPED)
    world.step()
    world.step(10)
    row = world.store.get("e1")
    assert (row.state, row.error_type) == (State.FAILED, "JobStopped")


def test_a_file_that_storage_did_not_take_is_written_later(world: World) -> None:
    """The row says what is wanted; each pass makes the file say the same."""
    world.add()
    begin(world)
    world.store.request_pause("e1", now=world.now)
    world.step()
    assert world.settings.layout.pause("e1").exists()
    world.store.resume("e1", newest=1, now=world.now)
    world.step()
    assert not world.settings.layout.pause("e1").exists()


def test_a_paused_one_can_be_cancelled_and_not_retried(world: World) -> None:
    """A retry is refused with what to do instead; one that was cancelled meanwhile can be retried."""
    world.add()
    begin(world)
    ask(world)
    rest(world)
    with pytest.raises(
        Conflict, match=r"is paused; only one .* can be retried; it goes on .*rebalance resume e1"
    ):
        retry(world.store, world.settings.layout, world.store.get("e1"), world.now)
    world.store.request_cancel("e1", now=world.now)
    with pytest.raises(Conflict, match="cancel still pending"):
        go_on(world)
    world.step()
    row = world.store.get("e1")
    assert (row.state, world.reasons()[-1]) == (State.CANCELLED, "cancelled while it was paused")
    again = retry(world.store, world.settings.layout, row, world.now)
    assert (again.state, again.attempt, again.pause_requested_at) == (State.QUEUED, 2, None)


def test_cancel_goes_before_pause(world: World) -> None:
    """Who asks for both gets the end."""
    world.add()
    begin(world)
    ask(world)
    world.store.request_cancel("e1", now=world.now)
    world.step()
    assert world.backend.jobs["e1-1"].stops == 1
    world.step()
    world.step(10)
    assert world.state() is State.CANCELLED


@pytest.mark.parametrize(("retryable", "state"), [(True, State.PAUSED), (False, State.FAILED)])
def test_an_error_before_the_pause_is_what_it_is(world: World, retryable: bool, state: State) -> None:
    """A loss that is not finite fails; a worker that is lost rests, for its next try is to wait."""
    world.add()
    begin(world)
    ask(world)
    world.leave_report(
        failed_report("e1", retryable=retryable, kind="WorkerLost" if retryable else "NonFiniteLoss")
    )
    world.backend.finish("e1-1", JobStatus.FAILED)
    world.step()
    assert world.state() is state


def test_a_result_that_was_faster_stays(world: World) -> None:
    """Nothing is trained again."""
    world.add()
    begin(world)
    ask(world)
    world.leave_report(make_report("e1"))
    world.step()
    assert world.state() is State.COMPLETED
    with pytest.raises(Conflict, match="ended already"):
        ask(world)


def test_a_trial_rests_with_its_sweep_alone(world: World) -> None:
    """Refused with the command that does it; a detached one is an experiment like others."""
    world.add(sweep_id="swp-1", trial=3)
    with pytest.raises(Conflict, match=r"trial 3 of sweep swp-1.*rebalance sweep pause swp-1"):
        ask(world)
    world.store.transition(world.store.get("e1"), to=State.FAILED, reason="x", now=START)
    retry(world.store, world.settings.layout, world.store.get("e1"), world.now)
    ask(world)
    world.step()
    assert world.state() is State.PAUSED


def test_what_rests_leaves_its_place_to_others(world: World) -> None:
    """With one place, the next begins."""
    world.settings = world.settings.model_copy(update={"max_running": 1})
    world.__post_init__()
    world.add()
    begin(world)
    world.add("e2")
    world.step()
    assert world.state("e2") is State.QUEUED
    ask(world)
    rest(world)
    assert world.state("e2") is State.SUBMITTED


def test_two_at_once_do_not_take_the_same_attempt(world: World) -> None:
    """Who read storage long ago, and comes when it was resumed and rests again, is given the one after it."""
    world.add()
    begin(world)
    ask(world)
    rest(world)
    read_long_ago = world.settings.layout.newest_attempt("e1")
    go_on(world)
    begin(world, attempt=2)
    ask(world)
    rest(world, attempt=2)
    assert world.store.resume("e1", newest=read_long_ago, now=world.now).attempt == 3


def test_one_that_began_while_it_was_resumed_is_followed_by_another(world: World) -> None:
    """Storage was read before it was submitted."""
    world.add()
    read_before = world.settings.layout.newest_attempt("e1")
    begin(world)
    ask(world)
    rest(world)
    assert (read_before, world.store.resume("e1", newest=read_before, now=world.now).attempt) == (0, 2)
