"""The table of retries: what it says holds, and is what people read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.reconcile.cluster import JobStatus
from service.reconcile.retries.classes import (
    RETRIES,
    Cause,
    cause_of,
    failures_by_cause,
    most_of,
    next_try_at,
)
from service.shared.states import State
from tests.unit.service.conftest import World, failed_report

NOW = datetime(2026, 1, 2, tzinfo=UTC)
LIMITS = {"max_attempts": 3, "exception_attempts": 1}


def test_every_class_has_a_rule() -> None:
    """And none is followed for ever."""
    assert set(RETRIES) == set(Cause)
    assert all(1 <= most_of(cause, LIMITS) <= 30 for cause in Cause)


@pytest.mark.parametrize(
    ("kind", "message", "cause"),
    [
        ("SpecError", "", Cause.MISTAKE),
        ("NonFiniteLoss", "", Cause.MISTAKE),
        ("OutOfMemoryError", "", Cause.MEMORY),
        ("RuntimeError", "[enforce fail] DefaultCPUAllocator: can't allocate memory", Cause.MEMORY),
        ("RuntimeError", "cuDNN error", Cause.EXCEPTION),
        ("WorkerLost", "", Cause.WORKER),
        ("NodeLost", "", Cause.CLUSTER),
        ("ResourcesUnavailable", "", Cause.CAPACITY),
        ("DiskFull", "", Cause.DISK),
    ],
)
def test_errors_have_their_class(kind: str, message: str, cause: Cause) -> None:
    """By the name of their type, and where torch has none of its own by its words."""
    assert cause_of(kind, message) is cause


def test_each_class_has_its_own_count() -> None:
    """A job without a report is a worker's loss, or its cluster's where it was not counted."""
    found = failures_by_cause([("JobLost", True), ("JobLost", False), ("DiskFull", True), ("JobLost", False)])
    assert found == {Cause.WORKER: 1, Cause.CLUSTER: 2, Cause.DISK: 1}


def test_pauses_double_up_to_a_limit() -> None:
    """The first loss of a worker is followed at once, the next ones after 10 s, 20 s, …, 5 min."""
    pauses = [
        (at - NOW).total_seconds()
        if (at := next_try_at(Cause.WORKER, n, "e1-1", started=None, ended=NOW))
        else 0
        for n in range(1, 12)
    ]
    assert pauses[0] == 0
    shortest = [10 * 2**n for n in range(5)] + [300] * 5
    assert all(least <= pause <= 1.25 * least for least, pause in zip(shortest, pauses[1:], strict=True))


def test_who_lasted_longer_than_the_pause_is_followed_at_once() -> None:
    """But for a full disk and missing capacity, which somebody has to change: counted from the end."""
    began = NOW - timedelta(hours=1)
    assert next_try_at(Cause.CLUSTER, 5, "e1-1", started=began, ended=NOW) is None
    assert next_try_at(Cause.DISK, 1, "e1-1", started=began, ended=NOW) is not None


def test_the_jitter_is_the_rows_own() -> None:
    """The same for whoever computes it; another for others, so that they do not come back together."""

    def pause(job_id: str) -> datetime | None:
        return next_try_at(Cause.DISK, 1, job_id, started=None, ended=NOW)

    assert pause("e1-1") == pause("e1-1")
    assert len({pause(f"e{number}-1") for number in range(50)}) == 50


def test_a_full_disk_is_waited_for(world: World) -> None:
    """Why is said, nobody is kept waiting by it, and the attempt follows when the pause is over."""
    world.settings = world.settings.model_copy(update={"max_running": 1})
    world.__post_init__()
    world.add()
    world.step()
    world.leave_report(failed_report("e1", kind="DiskFull", retryable=True))
    world.backend.finish("e1-1", JobStatus.FAILED)
    world.step()
    world.add("e2")
    world.step()
    row = world.store.get("e1")
    assert (row.state, world.state("e2")) == (State.QUEUED, State.SUBMITTED)
    assert (row.wait_reason or {})["code"] == "retry"
    assert "DiskFull ended its last attempt" in (row.wait_reason or {})["reason"]
    world.backend.finish("e2-1", JobStatus.FAILED)
    world.store.request_cancel("e2", now=world.now)
    world.step(40)
    assert world.state() is State.QUEUED
    world.step(40)
    assert world.state() is State.SUBMITTED


def test_exceptions_are_tried_as_configured(world: World) -> None:
    """Twice here; out of memory, never."""
    world.settings = world.settings.model_copy(update={"exception_attempts": 2})
    world.__post_init__()
    for name, kind, attempts in (("e1", "RuntimeError", 2), ("e2", "OutOfMemoryError", 1)):
        world.add(name)
        for attempt in range(1, attempts + 1):
            world.step(60)
            world.leave_report(failed_report(name, attempt=attempt, kind=kind))
            world.backend.finish(f"{name}-{attempt}", JobStatus.FAILED)
            world.step()
        row = world.store.get(name)
        assert (row.state, row.attempt, row.error_type) == (State.FAILED, attempts, kind)


def test_a_request_begins_to_count_anew(world: World) -> None:
    """Three losses fail an experiment; retried, it has three more."""
    from service.reconcile.retry_on_request import retry

    world.add()
    for attempt in range(1, 7):
        world.step(400)
        world.leave_report(failed_report("e1", attempt=attempt, kind="WorkerLost", retryable=True))
        world.backend.finish(f"e1-{attempt}", JobStatus.FAILED)
        world.step()
        if attempt == 3:
            assert world.state() is State.FAILED
            retry(world.store, world.settings.layout, world.store.get("e1"), world.now)
    assert (world.state(), world.store.get("e1").attempt) == (State.FAILED, 6)


def test_people_read_the_same_table() -> None:
    """docs/operations.md has a row for each class, with the settings and pauses of this one."""
    docs = Path(__file__).parents[5] / "docs" / "operations.md"
    lines = docs.read_text().partition("## Retries")[2].partition("\n## ")[0].splitlines()
    rows = {line.split("|")[1].strip(" `"): line for line in lines if line.startswith("| `")}
    assert set(rows) == {str(cause) for cause in Cause}
    for cause, rule in RETRIES.items():
        said = rows[str(cause)]
        most = "never" if rule.most == 1 else str(rule.most)
        assert most in said if isinstance(rule.most, int) else f"REBALANCE_{most.upper()}" in said
        assert ("yes" if rule.counted else "no") == said.split("|")[4].strip()
        if rule.pause:
            assert f"{_words(rule.pause)} to {_words(rule.longest)}" in said


def _words(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min"
