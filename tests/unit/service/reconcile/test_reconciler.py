"""run_once(): submits, follows, cancels, retries, and closes MLflow runs. Decisions are set by hand."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from service.reconcile.cluster import JobStatus
from service.reconcile.job_kinds import job_command
from service.reconcile.reconciler import Reconciler
from service.shared.settings import Settings
from service.shared.states import State
from tests.data_factories import make_report
from tests.unit.service.conftest import START, World, failed_report, new_row
from trainer.base.data_roots import NamedRoot


def test_from_queued_to_completed(world: World) -> None:
    """The whole way: submit, seen running, report; each step with its event and reason."""
    world.add()
    world.step()
    assert world.state() is State.SUBMITTED
    world.step()
    assert world.state() is State.SUBMITTED
    world.backend.run("e1-1")
    world.step()
    assert world.state() is State.RUNNING
    world.leave_report(make_report("e1"))
    world.step()
    row = world.store.get("e1")
    assert row.state is State.COMPLETED
    assert row.headline is not None
    assert row.started_at == START + timedelta(seconds=3)
    assert world.reasons() == ["stored", "job e1-1 submitted", "job seen running", "report with a result"]


def test_the_job_gets_its_spec_and_command(world: World, settings: Settings) -> None:
    """spec.json is there before the submit, and the command line names it, the attempt and the storage."""
    row = world.add()
    world.step()
    job = world.backend.jobs["e1-1"]
    spec = settings.layout.attempt("e1", 1).spec.local
    assert json.loads(spec.read_text()) == json.loads(row.spec)
    assert job.command[:3] == ("python", "-m", "trainer.job")
    pairs = dict(zip(job.command[3::2], job.command[4::2], strict=True))
    assert pairs == {
        "--spec": str(spec),
        "--storage": str(settings.layout.root),
        "--experiment": "e1",
        "--attempt": "1",
    }
    assert job.metadata["experiment"] == "e1"


def test_command_carries_mlflow_and_every_data_root(tmp_path: Path) -> None:
    """What the settings say reaches the job, each root with its own flag."""
    roots = (tmp_path / "a", NamedRoot("b", tmp_path / "b"))
    settings = Settings(
        data_dir=tmp_path, mlflow_uri="http://127.0.0.1:5000/", data_roots=roots, job_python="/py"
    )
    command = job_command(settings, new_row("e1"))
    assert command[0] == "/py"
    assert command[-6:] == [
        "--mlflow-uri",
        "http://127.0.0.1:5000",
        "--data-root",
        str(roots[0]),
        "--data-root",
        str(roots[1]),
    ]


def test_only_max_running_jobs_are_out(world: World) -> None:
    """The queue is ours: two at once, in the order they came; a free place is filled in the same pass."""
    for number in range(4):
        world.add(f"e{number}", created_at=START + timedelta(seconds=number))
    world.step()
    world.step()
    assert sorted(world.backend.jobs) == ["e0-1", "e1-1"]
    world.leave_report(make_report("e0"))
    world.step()
    assert sorted(world.backend.jobs) == ["e0-1", "e1-1", "e2-1"]


def test_a_crash_between_submit_and_commit_costs_nothing(world: World) -> None:
    """The id is taken already: that counts as submitted, and there is one job."""
    world.add()
    world.backend.submit("e1-1", ["true"], {})
    world.step()
    assert world.state() is State.SUBMITTED
    assert world.reasons()[-1] == "job e1-1 was already submitted"


def test_a_restart_adopts_what_runs(world: World, settings: Settings) -> None:
    """A new reconciler on the same database follows the jobs of the old one to their end."""
    world.add()
    world.step()
    world.backend.run("e1-1")
    world.reconciler = Reconciler(world.store, world.backend, settings, runs=world.runs)
    world.leave_report(make_report("e1"))
    world.step()
    assert world.state() is State.COMPLETED


def test_an_outcome_that_came_while_the_service_was_away(world: World) -> None:
    """Job over, Ray restarted and forgetful, report on disk: completed, not lost."""
    world.add()
    world.step()
    world.leave_report(make_report("e1"))
    world.backend.lose("e1-1")
    world.step(3600)
    assert world.state() is State.COMPLETED


def test_a_run_that_raises_fails_with_class_and_message(world: World) -> None:
    """The report's error lands in the experiment, in the first attempt."""
    world.add()
    world.step()
    world.leave_report(failed_report("e1"))
    world.backend.finish("e1-1", JobStatus.FAILED)
    world.step()
    row = world.store.get("e1")
    assert (row.state, row.attempt) == (State.FAILED, 1)
    assert (row.error_type, row.error_message) == ("DataError", "label 77 in 3 pictures")


def test_a_lost_job_is_tried_again_under_a_new_id(world: World) -> None:
    """After the grace the attempt counts up; three losses fail the experiment."""
    world.add()
    for attempt in (1, 2, 3):
        world.step(60)  # the pause after a failure
        assert f"e1-{attempt}" in world.backend.jobs
        world.backend.finish(f"e1-{attempt}", JobStatus.FAILED, "worker died")
        world.step()
        assert world.state() is State.SUBMITTED
        world.step(5)
    row = world.store.get("e1")
    assert (row.state, row.attempt, row.error_type) == (State.FAILED, 3, "JobLost")
    assert "worker died" in (row.error_message or "")


def test_restarts_of_the_cluster_cost_no_attempt(world: World) -> None:
    """Five times the head comes back forgetful; the sixth attempt may still complete."""
    world.add()
    world.step()
    for attempt in range(1, 6):
        world.backend.lose(f"e1-{attempt}")
        world.step(100)
        world.step(6)
        assert world.backend.jobs.keys() == {f"e1-{attempt + 1}"}
    world.leave_report(make_report("e1").model_copy(update={"attempt": 6}))
    world.step()
    assert world.state() is State.COMPLETED


def test_a_report_within_the_grace_is_waited_for(world: World) -> None:
    """The cluster shows the end before storage shows the report: that is not a loss."""
    world.add()
    world.step()
    world.backend.finish("e1-1")
    world.step()
    world.step(3)
    assert world.state() is State.SUBMITTED
    world.leave_report(make_report("e1"))
    world.step()
    assert (world.state(), world.store.get("e1").attempt) == (State.COMPLETED, 1)


def test_the_report_of_another_attempt_is_not_taken(world: World) -> None:
    """A file in the wrong place must not complete an experiment."""
    world.add()
    world.step()
    wrong = make_report("other")
    path = world.settings.layout.attempt("e1", 1).report.local
    path.write_text(wrong.model_dump_json())
    world.backend.finish("e1-1")
    world.step()
    world.step(6)
    row = world.store.get("e1")
    assert (row.state, row.error_type) == (State.FAILED, "ReportError")


def test_a_cluster_that_is_away_delays_and_breaks_nothing(world: World) -> None:
    """Submitted stays submitted, queued stays queued; all goes on when it is back."""
    world.add("e1")
    world.step()
    world.add("e2", created_at=START + timedelta(seconds=1))
    world.backend.down = True
    for _ in range(3):
        world.step(1000)
    assert (world.state("e1"), world.state("e2")) == (State.SUBMITTED, State.QUEUED)
    world.backend.down = False
    world.backend.run("e1-1")
    world.step()
    assert (world.state("e1"), world.state("e2")) == (State.RUNNING, State.SUBMITTED)


def test_one_timeout_a_pass(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the cluster away, one job is asked for and not every one."""
    for number in range(2):
        world.add(f"e{number}")
    world.step()
    world.backend.down = True
    asked: list[str] = []
    plain = world.backend.status
    world.backend.status = lambda job_id: (asked.append(job_id), plain(job_id))[1]  # type: ignore[method-assign]
    world.step()
    assert len(asked) == 1


def test_a_refused_submit_fails(world: World) -> None:
    """What trying again cannot cure ends the experiment with the cluster's words."""
    world.add()
    world.backend.refuses = "no such runtime environment"
    world.step()
    row = world.store.get("e1")
    assert (row.state, row.error_type, row.error_message) == (
        State.FAILED,
        "SubmitRefused",
        "no such runtime environment",
    )


def test_cancelled_in_the_queue_it_never_starts(world: World) -> None:
    """No job is submitted, also when the cluster is away."""
    world.add()
    world.backend.down = True
    world.store.request_cancel("e1", now=START)
    world.step()
    assert world.state() is State.CANCELLED
    assert world.backend.jobs == {}


def test_cancelled_between_submit_and_commit_the_job_is_stopped(world: World) -> None:
    """A queued row whose job exists after all: found, stopped, cancelled."""
    world.add()
    world.settings.layout.attempt("e1", 1).path.mkdir(parents=True)
    world.settings.layout.attempt("e1", 1).spec.write("{}")
    world.backend.submit("e1-1", ["true"], {})
    world.store.request_cancel("e1", now=START)
    world.step()
    assert world.state() is State.SUBMITTED
    world.step()
    world.step()
    world.step(6)
    assert world.state() is State.CANCELLED
    assert world.backend.jobs["e1-1"].stops == 1


def test_cancelled_while_running(world: World) -> None:
    """The job is asked to stop until its end is seen, then the state follows."""
    world.backend.stubborn = True
    world.add()
    world.step()
    world.backend.run("e1-1")
    world.step()
    world.store.request_cancel("e1", now=world.now)
    world.step()
    world.step()
    assert world.state() is State.RUNNING
    assert world.backend.jobs["e1-1"].stops == 2
    report = make_report("e1").model_copy(update={"state": "cancelled", "result": None})
    world.leave_report(report)
    world.backend.finish("e1-1", JobStatus.STOPPED)
    world.step()
    assert world.state() is State.CANCELLED


def test_cancelled_but_the_report_was_faster(world: World) -> None:
    """The result stays."""
    world.add()
    world.step()
    world.store.request_cancel("e1", now=world.now)
    world.leave_report(make_report("e1"))
    world.step()
    assert world.state() is State.COMPLETED


@pytest.mark.parametrize(
    ("report", "wish", "expected"),
    [
        (failed_report("e1"), False, "FAILED"),
        (make_report("e1"), False, "FINISHED"),
        (None, True, "KILLED"),
    ],
)
def test_the_mlflow_run_gets_its_end(world: World, report: Any, wish: bool, expected: str) -> None:
    """failed, completed and cancelled each close the run that the job had opened."""
    world.add()
    world.step()
    world.settings.layout.mlflow_run("e1").write('{"run_id": "m1"}')
    if report is not None:
        world.leave_report(report)
    if wish:
        world.store.request_cancel("e1", now=world.now)
    for _ in range(3):
        world.step(6)
    assert world.runs.closed == {"m1": expected}
    assert world.store.get("e1").mlflow_run_id == "m1"
    assert world.store.with_mlflow_due(limit=5) == []


def test_mlflow_away_stops_nothing_and_is_asked_again(world: World) -> None:
    """The experiment ends all the same; the run is closed once MLflow is back, not asked in every pass."""
    world.add("e1")
    world.step()
    world.settings.layout.mlflow_run("e1").write('{"run_id": "m1"}')
    world.leave_report(failed_report("e1"))
    world.runs.down = True
    world.step()
    assert world.state("e1") is State.FAILED
    world.add("e2")
    world.step()
    assert world.state("e2") is State.SUBMITTED
    world.runs.down = False
    world.step(1)
    assert world.runs.closed == {}
    world.step(30)
    assert world.runs.closed == {"m1": "FAILED"}


def test_a_retry_leaves_the_mlflow_run_open(world: World) -> None:
    """All attempts share one run: a loss does not end it."""
    world.add()
    world.step()
    world.settings.layout.mlflow_run("e1").write('{"run_id": "m1"}')
    world.backend.lose("e1-1")
    for _ in range(3):
        world.step(6)
    assert world.store.get("e1").attempt == 2
    assert world.runs.closed == {}


def test_a_job_that_died_before_logging_leaves_its_output(world: World) -> None:
    """What the command printed is kept as the attempt's log: the cluster forgets it."""
    world.add()
    world.step()
    world.backend.jobs["e1-1"].log = "No module named trainer\n"
    world.backend.finish("e1-1", JobStatus.FAILED, "exit code 1")
    world.step()
    world.step(6)
    assert (world.path_of() / "log.txt").read_text() == "No module named trainer\n"


def test_the_last_progress_is_kept(world: World) -> None:
    """A failed experiment still shows how far it came."""
    world.add()
    world.step()
    lines = [{"kind": "train", "iteration": i, "loss": 1.5} for i in (10, 20)]
    (world.path_of() / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    world.leave_report(failed_report("e1"))
    world.step()
    assert world.store.get("e1").progress == {"iteration": 20, "iterations": 1000, "loss": 1.5}


def test_storage_trouble_with_one_experiment_leaves_the_others(world: World) -> None:
    """A directory that cannot be written delays its own experiment."""
    world.add("e1")
    world.add("e2")
    blocked = world.settings.layout.experiment("e1").local
    blocked.parent.mkdir(parents=True)
    blocked.write_text("a file where a directory should be")
    world.step()
    assert (world.state("e1"), world.state("e2")) == (State.QUEUED, State.SUBMITTED)
    blocked.unlink()
    world.step()
    assert world.state("e1") is State.SUBMITTED
