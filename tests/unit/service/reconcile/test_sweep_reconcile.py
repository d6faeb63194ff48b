"""Sweeps through the reconciler: one job for all trials, whose rows follow their run directories."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from service.reconcile.cluster import JobStatus
from service.reconcile.reconciler import Reconciler
from service.reconcile.retry_on_request import retry
from service.shared.settings import Settings
from service.shared.states import State
from service.store.new_rows import new_sweep, trial_row
from service.store.records import Sweep
from sweeps.document.expand import expand
from sweeps.document.spec import parse_sweep
from tests.data_factories import make_report
from tests.unit.service.conftest import START, World, statements
from tests.unit.service.sweep_job import SweepJob, optuna_document, sweep_document
from trainer.storage.layout import Storage


@dataclass(frozen=True)
class WatchedStorage(Storage):
    """Remembers which experiments' directories were asked for."""

    looked: list[str] = field(default_factory=list)

    def experiment(self, experiment: str) -> Path:
        self.looked.append(experiment)
        return super().experiment(experiment)


class WatchedSettings(Settings):
    @cached_property
    def layout(self) -> WatchedStorage:  # type: ignore[override]
        assert self.storage is not None
        return WatchedStorage(self.storage)


def store_sweep(world: World, document: dict[str, Any] | None = None) -> SweepJob:
    """A stored sweep, as POST /sweeps leaves it."""
    spec = parse_sweep(document or sweep_document())
    new = new_sweep(spec, now=START, key=None, request_hash="h")
    trials = expand(spec) if spec.search != "optuna" else ()
    rows = [(trial_row(new, each.number, each.row, each.spec, START), each.spec.tags) for each in trials]
    world.store.sweeps.create(new, rows)
    return SweepJob.of(world.settings.layout, new)


def running(world: World, document: dict[str, Any] | None = None) -> SweepJob:
    """A sweep whose job runs."""
    job = store_sweep(world, document)
    world.step()
    world.backend.run(f"{job.sweep}-1")
    world.step()
    return job


def sweep_row(world: World, job: SweepJob) -> Sweep:
    return world.store.sweeps.get(job.sweep)


def states(world: World, job: SweepJob) -> list[State]:
    return [row.state for row in world.store.trials(job.sweep)]


def reasons(world: World, identifier: str) -> list[str]:
    return [event.reason for event in world.store.history(identifier, after=0, limit=100)[0]]


def test_one_job_for_all_trials(world: World) -> None:
    """The sweep is submitted with its spec and command; its trials never are, one by one."""
    job = store_sweep(world)
    world.step()
    assert list(world.backend.jobs) == [f"{job.sweep}-1"]
    submitted = world.backend.jobs[f"{job.sweep}-1"]
    assert submitted.command[:3] == ("python", "-m", "sweeps.job")
    pairs = dict(zip(submitted.command[3::2], submitted.command[4::2], strict=True))
    spec = world.settings.layout.sweep(job.sweep).attempt(1).spec.local
    assert pairs["--spec"] == str(spec)
    assert (pairs["--sweep"], pairs["--attempt"]) == (job.sweep, "1")
    assert parse_sweep(json.loads(spec.read_text())) == job.spec
    world.step()
    assert len(world.backend.jobs) == 1
    assert states(world, job) == [State.QUEUED] * 4


def test_the_whole_way(world: World) -> None:
    """Trials go through the states of an experiment while the job lives; the sweep ends with its report."""
    job = running(world)
    assert sweep_row(world, job).state is State.RUNNING
    job.begin(0)
    job.begin(1, iteration=None)
    world.step()
    assert states(world, job) == [State.RUNNING, State.SUBMITTED, State.QUEUED, State.QUEUED]
    job.complete(0)
    job.begin(1)
    world.step()
    assert states(world, job)[:2] == [State.COMPLETED, State.RUNNING]
    for number in (1, 2, 3):
        job.complete(number)
    job.end()
    world.step()
    assert states(world, job) == [State.COMPLETED] * 4
    assert sweep_row(world, job).state is State.COMPLETED
    assert reasons(world, job.id(0)) == [
        f"stored with sweep {job.sweep}",
        "taken up by its sweep",
        "seen running",
        "report with a result",
    ]
    row = world.store.get(job.id(3))
    assert row.headline is not None
    assert row.started_at is not None
    assert row.ended_at == world.now


def test_a_failing_trial_is_recorded_and_the_rest_go_on(world: World) -> None:
    """Its error is its own; the sweep completes."""
    job = running(world)
    job.fail(0)
    job.complete(1)
    job.stop_early(2)
    world.step()
    assert states(world, job) == [State.FAILED, State.COMPLETED, State.CANCELLED, State.QUEUED]
    assert world.store.get(job.id(0)).error_type == "DataError"
    assert world.store.get(job.id(2)).error_type == "StoppedEarly"
    assert [world.store.get(job.id(number)).stopped for number in range(3)] == [False, False, True]
    assert sweep_row(world, job).state is State.RUNNING
    job.complete(3)
    job.end()
    world.step()
    assert sweep_row(world, job).state is State.COMPLETED


def test_a_lost_worker_within_the_sweep(world: World) -> None:
    """The next attempt of the trial is followed; the lost one's report ends nothing."""
    job = running(world)
    job.begin(0)
    world.step()
    job.fail(0, kind="WorkerLost", retryable=True)
    world.step()
    assert states(world, job)[0] is State.RUNNING
    job.begin(0, 2)
    world.step()
    row = world.store.get(job.id(0))
    assert (row.state, row.attempt) == (State.RUNNING, 2)
    job.complete(0, 2)
    world.step()
    assert world.store.get(job.id(0)).state is State.COMPLETED


def test_the_third_loss_is_final(world: World) -> None:
    """The sweep's job gives it up then, and so do we, while the sweep goes on."""
    job = running(world)
    for attempt in (1, 2, 3):
        job.fail(0, attempt, kind="WorkerLost", retryable=True)
    world.step()
    assert world.store.get(job.id(0)).state is State.FAILED


def test_a_lost_cluster(world: World) -> None:
    """The sweep is queued again with another attempt; what had ended stays, what ran waits and is resumed."""
    job = running(world)
    job.complete(0)
    job.begin(1)
    world.step()
    world.backend.lose(f"{job.sweep}-1")
    world.step()
    world.step(10)
    sweep = sweep_row(world, job)
    assert (sweep.state, sweep.attempt, sweep.failures) == (State.SUBMITTED, 2, 0)
    assert states(world, job) == [State.COMPLETED, State.QUEUED, State.QUEUED, State.QUEUED]
    world.backend.run(f"{job.sweep}-2")
    world.step()
    assert states(world, job)[1] is State.QUEUED
    job.begin(1, 2)
    world.step()
    row = world.store.get(job.id(1))
    assert (row.state, row.attempt) == (State.RUNNING, 2)


def test_a_restart_of_the_service_goes_on(world: World, settings: Settings) -> None:
    """A new reconciler knows nothing but database and storage, and misses nothing."""
    job = running(world)
    job.begin(0)
    world.step()
    world.reconciler = Reconciler(world.store, world.backend, settings, runs=world.runs)
    for number in range(4):
        job.complete(number)
    job.end()
    world.backend.lose(f"{job.sweep}-1")
    world.step(3600)
    assert states(world, job) == [State.COMPLETED] * 4
    assert sweep_row(world, job).state is State.COMPLETED


def test_cancel_ends_every_trial(world: World) -> None:
    """The job is stopped; what has completed stays, the rest is cancelled with the reason."""
    job = running(world)
    job.complete(0)
    job.begin(1)
    world.step()
    world.store.sweeps.request_cancel(job.sweep, now=world.now)
    world.step()
    assert world.backend.jobs[f"{job.sweep}-1"].stops == 1
    job.end("cancelled")
    world.step()
    assert sweep_row(world, job).state is State.CANCELLED
    assert states(world, job) == [State.COMPLETED, *[State.CANCELLED] * 3]
    assert reasons(world, job.id(1))[-1] == "its sweep ended while it ran"
    assert reasons(world, job.id(3))[-1] == "its sweep ended before it started"


def test_cancel_before_the_job_started(world: World) -> None:
    """No job, no trial."""
    world.backend.down = True
    job = store_sweep(world)
    world.store.sweeps.request_cancel(job.sweep, now=world.now)
    world.step()
    assert sweep_row(world, job).state is State.CANCELLED
    assert states(world, job) == [State.CANCELLED] * 4


def test_limits_leave_trials_that_never_ran(world: World) -> None:
    """A sweep that completed by its limit leaves no trial in a live state."""
    job = running(world)
    job.complete(0)
    job.end()
    world.step()
    assert states(world, job) == [State.COMPLETED, *[State.CANCELLED] * 3]


def test_a_crash_between_the_sweeps_end_and_its_trials(world: World) -> None:
    """The next pass ends what was left."""
    job = running(world)
    row = sweep_row(world, job)
    world.store.sweeps.transition(row, to=State.COMPLETED, reason="by hand", now=world.now)
    world.step()
    assert all(state.ended for state in states(world, job))
    assert world.store.sweeps.unsettled(limit=10) == []


def test_cancelling_one_trial_is_a_stop_file(world: World) -> None:
    """Nothing is asked of the cluster, and the others go on."""
    job = running(world)
    job.begin(0)
    world.step()
    world.store.request_cancel(job.id(0), now=world.now)
    world.step()
    assert world.settings.layout.stop(job.id(0)).exists()
    assert not world.settings.layout.stop(job.id(1)).exists()
    assert world.backend.jobs[f"{job.sweep}-1"].stops == 0
    job.cancel(0)
    world.step()
    assert states(world, job) == [State.CANCELLED, *[State.QUEUED] * 3]
    assert sweep_row(world, job).state is State.RUNNING


def test_cancelling_a_waiting_trial(world: World) -> None:
    """The sweep's job finds the file before it begins the trial."""
    job = running(world)
    world.store.request_cancel(job.id(3), now=world.now)
    world.step()
    assert world.settings.layout.stop(job.id(3)).exists()
    assert states(world, job)[3] is State.QUEUED


def test_pause_is_a_file(world: World) -> None:
    """It is there while the flag is set, also where the request was cut off before it wrote it."""
    job = running(world)
    pause = world.settings.layout.sweep(job.sweep).pause.local
    world.store.sweeps.pause(job.sweep, paused=True, now=world.now)
    world.step()
    assert pause.exists()
    world.store.sweeps.pause(job.sweep, paused=False, now=world.now)
    world.step()
    assert not pause.exists()


def test_a_pause_made_by_hand_stays(world: World) -> None:
    """The service removes only its own."""
    job = running(world)
    pause = world.settings.layout.sweep(job.sweep).pause.local
    pause.touch()
    world.step()
    assert pause.exists()


def test_a_paused_sweep_is_not_submitted(world: World) -> None:
    """It would take a place and do nothing."""
    job = store_sweep(world)
    world.store.sweeps.pause(job.sweep, paused=True, now=world.now)
    world.step()
    assert world.backend.jobs == {}
    world.store.sweeps.pause(job.sweep, paused=False, now=world.now)
    world.step()
    assert list(world.backend.jobs) == [f"{job.sweep}-1"]


def test_a_sweep_takes_one_place(world: World) -> None:
    """max_running counts jobs: a sweep is one, in the order of asking."""
    first = store_sweep(world)
    world.add("e1", created_at=START + timedelta(seconds=1))
    world.add("e2", created_at=START + timedelta(seconds=2))
    world.step()
    world.step()
    assert sorted(world.backend.jobs) == ["e1-1", f"{first.sweep}-1"]


def test_a_stopped_trial_that_is_retried_is_stopped_no_more(world: World) -> None:
    """Until it ends again it counts as what it is: a trial that waits."""
    job = running(world)
    job.stop_early(0)
    world.step()
    row = world.store.get(job.id(0))
    assert (row.state, row.stopped) == (State.CANCELLED, True)
    again = retry(world.store, world.settings.layout, row, world.now)
    assert (again.state, again.stopped) == (State.QUEUED, False)


def test_retry_detaches_a_trial(world: World) -> None:
    """It gets a job of its own with the next attempt; its sweep leaves it alone, and its end is its own."""
    job = running(world)
    job.fail(0)
    world.step()
    layout = world.settings.layout
    layout.stop(job.id(0)).write("")
    row = retry(world.store, layout, world.store.get(job.id(0)), world.now)
    assert (row.state, row.attempt, row.detached, row.error_type) == (State.QUEUED, 2, True, None)
    assert layout.detached(job.id(0)).exists()
    assert not layout.stop(job.id(0)).exists()
    world.step()
    assert sorted(world.backend.jobs) == [f"{job.id(0)}-2", f"{job.sweep}-1"]
    world.backend.run(f"{job.id(0)}-2")
    job.end()
    world.step()
    assert sweep_row(world, job).state is State.COMPLETED
    assert world.store.get(job.id(0)).state is State.RUNNING
    world.leave_report(make_report(job.id(0)).model_copy(update={"attempt": 2}))
    world.step()
    assert world.store.get(job.id(0)).state is State.COMPLETED


def test_what_optuna_draws_is_stored_as_it_comes(world: World) -> None:
    """Rows appear with the trials' files, once each; an unreadable one is left out."""
    job = running(world, optuna_document())
    assert world.store.trials(job.sweep) == []
    job.begin(0)
    world.settings.layout.sweep(job.sweep).trial(7).write("{")
    world.step()
    assert states(world, job) == [State.RUNNING]
    job.complete(0)
    job.begin(1)
    job.complete(2)
    job.end()
    world.step()
    found = world.store.trials(job.sweep)
    assert [(row.trial, row.state) for row in found] == [
        (0, State.COMPLETED),
        (1, State.CANCELLED),
        (2, State.COMPLETED),
    ]
    assert found[0].trial_row == job.trial(0).row


def test_a_job_that_dies_each_time(world: World) -> None:
    """After max_attempts failures the sweep has failed, and no trial waits for ever."""
    job = store_sweep(world)
    for attempt in (1, 2, 3):
        world.step()
        world.backend.finish(f"{job.sweep}-{attempt}", JobStatus.FAILED, "exit 1")
        world.step()
        world.step(10)
    row = sweep_row(world, job)
    assert (row.state, row.error_type) == (State.FAILED, "JobLost")
    assert states(world, job) == [State.CANCELLED] * 4


def test_mlflow_runs_of_what_was_cut_off_are_closed(world: World) -> None:
    """The parent's, and those of trials that left no report."""
    job = running(world)
    layout = world.settings.layout
    job.begin(0)
    layout.mlflow_run(job.id(0)).write('{"run_id": "m0", "experiment_id": "1"}')
    layout.sweep(job.sweep).mlflow.write('{"run_id": "parent", "experiment_id": "1"}')
    world.step()
    world.store.sweeps.request_cancel(job.sweep, now=world.now)
    world.step()
    world.step()
    world.step(10)
    assert sweep_row(world, job).state is State.CANCELLED
    assert world.runs.closed == {"m0": "KILLED", "parent": "KILLED"}


def test_storage_trouble_of_one_sweep_is_its_own(world: World) -> None:
    """Another sweep's trials are followed all the same."""
    broken, well = running(world), running(world)
    broken.begin(0)
    well.begin(0)
    report = world.settings.layout.attempt(broken.id(0), 1).report.local
    report.mkdir()  # reading it raises IsADirectoryError
    world.step()
    assert states(world, well)[0] is State.RUNNING
    report.rmdir()
    world.step()
    assert states(world, broken)[0] is State.RUNNING


@pytest.mark.slow
def test_a_pass_over_10_000_trials_looks_at_few(world: World) -> None:
    """A quiet pass over 10,000 trials looks at the two that run only; all can be ended in one."""
    document = sweep_document(
        axes=[{"pointer": "/method/lambda", "grid": [round(k / 1000, 3) for k in range(1000)]}],
        seeds=list(range(10)),
    )
    job = running(world, document)
    job_spec = expand(job.spec)
    job.trial = lambda number: job_spec[number]  # type: ignore[method-assign]
    job.begin(0)
    job.begin(9_999)
    watched = WatchedSettings(**dict(world.settings))
    world.reconciler = Reconciler(world.store, world.backend, watched)
    world.step()
    with statements() as noisy:
        world.step()
    old = world.now.timestamp() - 60
    os.utime(world.settings.layout.sweep(job.sweep).trials.local, (old, old))
    world.step()
    watched.layout.looked.clear()
    with statements() as quiet:
        world.step()
    assert set(watched.layout.looked) == {job.id(0), job.id(9_999)}
    assert len(quiet) < len(noisy) < 40, "the states of all are asked only after trials/ has changed"
    assert Counter(states(world, job)) == {State.QUEUED: 9_998, State.RUNNING: 2}
    job.end()
    world.step()
    assert Counter(states(world, job)) == {State.CANCELLED: 10_000}
