"""Each attempt is on record: what the reconciler saw of it, in the transaction of the step."""

from __future__ import annotations

import pytest

from service.reconcile.cluster import JobStatus
from service.reconcile.retry_on_request import retry
from service.shared.states import State
from service.store.attempts.values import AttemptRecord
from service.store.records import UnknownExperiment
from tests.data_factories import make_report
from tests.unit.service.conftest import World, failed_report
from trainer.results.report import AttemptReport


def records(world: World) -> list[AttemptRecord]:
    return world.store.attempts("e1")[0]


def ends(world: World, report: AttemptReport | None, status: JobStatus, code: int | None = None) -> None:
    """The newest attempt's job runs and ends so."""
    row = world.store.get("e1")
    world.step()
    world.backend.run(row.job_id)
    world.step()
    world.settings.layout.attempt("e1", row.attempt).host.write(f"node-{row.attempt}\n")
    if report is not None:
        times = {"attempt": row.attempt, "started_at": "2026-01-02T03:00:00+00:00"}
        world.leave_report(report.model_copy(update=times))
    world.backend.finish(row.job_id, status)
    world.backend.jobs[row.job_id].exit_code = code
    world.step()
    world.step(60)


def test_each_try_is_on_record(world: World) -> None:
    """Job, host, times, exit, reason and log of each; a lost node does not count, a lost worker does."""
    world.add()
    ends(world, failed_report("e1", kind="NodeLost", retryable=True), JobStatus.FAILED, 1)
    ends(world, failed_report("e1", kind="WorkerLost", retryable=True), JobStatus.FAILED, 137)
    ends(world, make_report("e1"), JobStatus.SUCCEEDED, 0)
    assert world.state() is State.COMPLETED
    first, second, third = records(world)
    facts = [
        (each.job_id, each.host, each.error_type, each.counted, each.exit_code) for each in records(world)
    ]
    assert facts == [
        ("e1-1", "node-1", "NodeLost", False, 1),
        ("e1-2", "node-2", "WorkerLost", True, 137),
        ("e1-3", "node-3", None, False, 0),
    ]
    assert [each.job_status for each in records(world)] == ["failed", "failed", "succeeded"]
    assert [each.log for each in records(world)] == [f"runs/e1/{n}/log.txt" for n in (1, 2, 3)]
    assert (third.reason, first.reason) == ("report with a result", world.reasons()[3])
    assert second.ended_at is not None
    assert first.submitted_at < second.submitted_at


def test_an_attempt_that_goes_on_is_on_record(world: World) -> None:
    """Since when, and under which id; who waits has none yet."""
    world.add()
    assert records(world) == []
    world.step()
    (first,) = records(world)
    assert (first.submitted_at, first.started_at, first.ended_at) == (world.now, None, None)
    world.backend.run("e1-1")
    world.step()
    assert records(world)[0].started_at == world.now


def test_a_row_from_before_there_was_a_record(world: World) -> None:
    """What is known of its attempt is written at its end."""
    world.add(state=State.RUNNING)
    world.backend.submit("e1-1", ["python"], {})
    world.backend.run("e1-1")
    world.leave_report(make_report("e1"))
    world.step()
    assert [(each.attempt, each.reason) for each in records(world)] == [(1, "report with a result")]


def test_pages_and_unknown_ids(world: World) -> None:
    """The page goes on after the last number; of nobody there is no record."""
    world.add()
    for _ in range(3):
        ends(world, failed_report("e1"), JobStatus.FAILED)
        retry(world.store, world.settings.layout, world.store.get("e1"), world.now)
    found, after = world.store.attempts("e1", limit=2)
    assert ([each.attempt for each in found], after) == ([1, 2], 2)
    found, after = world.store.attempts("e1", after=2)
    assert ([each.attempt for each in found], after) == ([3], None)
    with pytest.raises(UnknownExperiment):
        world.store.attempts("none")
