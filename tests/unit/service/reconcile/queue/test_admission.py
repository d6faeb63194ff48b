"""What the queue decides is done, and told: on a fake cluster, pass by pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from service.reconcile.cluster import JobStatus
from service.reconcile.retry_on_request import retry
from service.shared.states import State
from tests.data_factories import make_report, spec_document
from tests.unit.service.conftest import START, World
from trainer.base.ends import End
from trainer.results.report import AttemptError
from trainer.spec.spec import ExperimentSpec, parse_spec

Lab = Callable[..., World]


def asks(gpus: int = 1, **scheduling: Any) -> ExperimentSpec:
    """A spec for so many GPUs."""
    document = spec_document()
    document["resources"] = {"workers": gpus, "gpus_per_worker": 1, "cpus_per_worker": 1}
    document["schedule"] = {"batch_size": 8 * gpus}
    return parse_spec({**document, "scheduling": scheduling})


def at(seconds: float) -> Any:
    return START + timedelta(seconds=seconds)


def begin(world: World, identifier: str, attempt: int = 1) -> None:
    """Its job is seen running."""
    world.backend.run(f"{identifier}-{attempt}")
    world.step()
    assert world.state(identifier) is State.RUNNING


def reason(world: World, identifier: str) -> dict[str, Any]:
    found = world.store.get(identifier).wait_reason
    assert found is not None
    return found


def test_what_does_not_fit_waits_and_is_told_why(lab: Lab) -> None:
    """All workers or none; the reason goes once the job was handed over, with when that was."""
    world = lab()
    world.add("e1", spec=asks(6))
    world.add("e2", spec=asks(4), created_at=at(1))
    world.step()
    assert (world.state("e1"), world.state("e2")) == (State.SUBMITTED, State.QUEUED)
    assert reason(world, "e2") == {
        "code": "capacity",
        "reason": "asks for 4 GPUs and 4 CPUs; 2 GPUs and 26 CPUs of 8 GPUs and 32 CPUs are free",
        "would_run": "once there is room for 2 GPUs more",
    }
    begin(world, "e1")
    world.leave_report(make_report("e1"))
    world.step()
    row = world.store.get("e2")
    assert (row.state, row.wait_reason, row.admitted_at) == (State.SUBMITTED, None, world.now)


def test_without_a_file_only_places_count(world: World) -> None:
    """As ever: Ray queues what does not fit."""
    for number in range(3):
        world.add(f"e{number}", spec=asks(64), created_at=at(number))
    world.step()
    assert [world.state(f"e{number}") for number in range(3)] == ["submitted", "submitted", "queued"]
    assert reason(world, "e2") == {
        "code": "max_running",
        "reason": "2 of 2 are running",
        "would_run": "once one of them ends",
    }


def test_priorities_and_shares_decide_who_begins(lab: Lab) -> None:
    """Of what waits at the same time: the highest first, then whose user holds least."""
    world = lab(max_running=3)
    world.add("low", spec=asks(priority="low"), owner="bob")
    world.add("ann1", spec=asks(), owner="ann", created_at=at(1))
    world.add("ann2", spec=asks(), owner="ann", created_at=at(2))
    world.add("bob1", spec=asks(), owner="bob", created_at=at(3))
    world.step()
    begun = [name for name in ("low", "ann1", "ann2", "bob1") if world.state(name) is State.SUBMITTED]
    assert begun == ["ann1", "ann2", "bob1"]
    events = [row.admitted_at for row in map(world.store.get, begun)]
    assert events == [world.now] * 3
    assert list(world.backend.jobs) == ["ann1-1", "bob1-1", "ann2-1"]


def test_a_quota_holds_and_may_be_changed(lab: Lab) -> None:
    """The file is read again: nobody has to restart anything."""
    world = lab("[user]\nconcurrent = 1\n[users.ann]\nconcurrent = 2")
    for number in range(3):
        world.add(f"a{number}", spec=asks(), owner="ann", created_at=at(number))
    world.step()
    assert reason(world, "a2")["reason"] == "user ann has 2 of 2 at once, its quota"
    assert world.settings.policy is not None
    world.settings.policy.write_text("[user]\nconcurrent = 100")
    world.step()
    assert world.state("a2") is State.SUBMITTED


def test_one_of_higher_priority_takes_the_place_of_one_that_lets_it(lab: Lab) -> None:
    """Stopped with grace, queued again uncounted, resumed later; its history and the other's say so."""
    world = lab("protected = 0")
    world.add("low", spec=asks(8, priority="low", preemptible=True))
    world.step()
    begin(world, "low")
    world.add("high", spec=asks(4, priority="high"), created_at=world.now)
    world.step()
    assert reason(world, "high")["code"] == "making_room"
    assert world.store.get("low").preempt_requested_at == world.now
    assert world.reasons("low")[-1] == "to be stopped for high, which has a higher priority"
    world.step()  # the cluster is told, and the job ends at once
    stopped = make_report("low").model_copy(
        update={"state": End.CANCELLED, "result": None, "error": AttemptError(type="Cancelled", message="")}
    )
    world.leave_report(stopped)
    world.step()
    row = world.store.get("low")
    assert (row.state, row.attempt, row.failures, row.preemptions) == (State.QUEUED, 2, 0, 1)
    assert row.preempt_requested_at is None
    assert "higher priority; it goes on from its last checkpoint" in world.reasons("low")[-1]
    assert world.state("high") is State.SUBMITTED
    begin(world, "high")
    world.leave_report(make_report("high"))
    world.step()
    assert world.state("low") is State.SUBMITTED
    assert "low-2" in world.backend.jobs


def test_a_result_that_was_faster_than_preemption_stays(lab: Lab) -> None:
    """Nothing is run again that has come to its end."""
    world = lab("protected = 0")
    world.add("low", spec=asks(8, priority="low", preemptible=True))
    world.step()
    begin(world, "low")
    world.add("high", spec=asks(4, priority="high"), created_at=world.now)
    world.step()
    world.leave_report(make_report("low"))
    world.step()
    assert world.state("low") is State.COMPLETED


def test_a_cancel_goes_before_preemption(lab: Lab) -> None:
    """Who is being stopped for another and cancelled meanwhile is cancelled."""
    world = lab("protected = 0")
    world.backend.stubborn = True
    world.add("low", spec=asks(8, priority="low", preemptible=True))
    world.step()
    begin(world, "low")
    world.add("high", spec=asks(4, priority="high"), created_at=world.now)
    world.step()
    world.store.request_cancel("low", now=world.now)
    world.backend.finish("low-1", JobStatus.STOPPED)
    world.step()
    world.step(10)
    assert world.state("low") is State.CANCELLED


def test_who_has_waited_too_long_fails(lab: Lab) -> None:
    """With what it waited for; asked again, it waits anew."""
    world = lab()
    world.add("e1", spec=asks(8))
    world.add("e2", spec=asks(1, max_wait="1m"), created_at=at(1))
    world.step()
    world.step(59)
    assert world.state("e2") is State.QUEUED
    world.step(2)
    row = world.store.get("e2")
    assert (row.state, row.error_type) == (State.FAILED, "WaitExceeded")
    assert row.error_message is not None
    assert "longer than its max_wait: asks for 1 GPU and 1 CPU; 0 GPUs and 24 CPUs of " in row.error_message
    retry(world.store, world.settings.layout, row, world.now)
    world.step(30)
    assert world.state("e2") is State.QUEUED


def test_who_lasts_too_long_is_stopped_and_fails(lab: Lab) -> None:
    """Counted from when its job was seen running; told as what it is; a retry has the whole time."""
    world = lab()
    world.add("e1", spec=asks(1, max_duration="1h"))
    world.step(4000)
    begin(world, "e1")
    world.step(3599)
    assert world.store.get("e1").timeout_requested_at is None
    world.step(2)
    world.step()
    assert world.backend.jobs["e1-1"].stops == 1
    world.step()
    world.step(10)
    row = world.store.get("e1")
    assert (row.state, row.error_type) == (State.FAILED, "DurationExceeded")
    assert row.error_message == "the attempt has lasted its max_duration of 3600 s"
    assert any("longer than its max_duration" in told for told in world.reasons("e1"))
    again = retry(world.store, world.settings.layout, row, world.now)
    assert (again.timeout_requested_at, again.state) == (None, State.QUEUED)


def test_what_cannot_be_submitted_keeps_nobody_waiting(lab: Lab) -> None:
    """Its place is given to the next in the same pass."""
    world = lab(max_running=1)
    world.add("bad")
    world.add("good", created_at=at(1))
    here = world.settings.layout.attempt("bad", 1).path
    here.parent.mkdir(parents=True)
    here.write_text("a file where a directory has to be")
    world.step()
    assert (world.state("bad"), world.state("good")) == (State.QUEUED, State.SUBMITTED)


def test_an_unreachable_cluster_decides_nothing(lab: Lab) -> None:
    """Nobody is told that there is no room, or stopped, because nobody knows; then it goes on."""
    world = lab()
    world.add("e1", spec=asks(1))
    world.backend.down = True
    world.step()
    row = world.store.get("e1")
    assert (row.state, row.wait_reason) == (State.QUEUED, None)
    world.backend.down = False
    world.step()
    assert world.state("e1") is State.SUBMITTED


@pytest.mark.parametrize("preemptions", [0, 40])
def test_preemptions_do_not_use_up_attempts(lab: Lab, preemptions: int) -> None:
    """A row that was stopped for others forty times may still lose its job once and be tried again."""
    world = lab()
    row = world.add("e1", spec=asks(1), attempt=1 + preemptions, preemptions=preemptions)
    world.step()
    begin(world, "e1", row.attempt)
    world.backend.lose(row.job_id)
    world.step()
    world.step(10)
    assert world.store.get("e1").attempt == row.attempt + 1
    assert replace(world.store.get("e1")).failures == 0


def test_reasons_are_written_once(lab: Lab) -> None:
    """A pass in which nothing changes writes none."""
    world = lab()
    world.add("e1", spec=asks(8))
    for number in range(3):
        world.add(f"w{number}", spec=asks(8), created_at=at(1 + number))
    world.step()
    written: list[Any] = []
    world.store.queue.explain = written.append  # type: ignore[method-assign]
    world.step()
    assert written == [{}]
    assert [reason(world, f"w{number}")["code"] for number in range(3)] == ["capacity", "behind", "behind"]
