"""Many jobs are looked at by one question to Ray, where that costs less than one for each."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from service.reconcile.cluster import JobObservation, JobStatus
from service.reconcile.ray_backend import RayBackend
from service.shared.states import State
from tests.fakes import FakeBackend
from tests.unit.service.conftest import World

_MANY = [f"e{number}-1" for number in range(30)]


class _Jobs(BaseHTTPRequestHandler):
    """The list of jobs, as Ray's dashboard has it."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        body = json.dumps(self.server.jobs).encode()  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@dataclass
class Ray:
    """A stand-in, what it lists and what it was asked, and a clock that only the test moves."""

    address: str
    jobs: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    now: float = 0.0


@pytest.fixture
def ray() -> Iterator[Ray]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Jobs) as server:
        made = Ray(f"http://127.0.0.1:{server.server_port}")
        server.jobs, server.asked = made.jobs, made.asked  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        server.shutdown()
        thread.join()


@pytest.fixture
def backend(ray: Ray) -> Iterator[RayBackend]:
    with closing(RayBackend(ray.address, clock=lambda: ray.now)) as made:
        yield made


def test_one_list_for_many(ray: Ray, backend: RayBackend) -> None:
    """What is listed and asked for, with its words; a status that is none of Ray's is to be asked for."""
    ray.jobs += [
        {"submission_id": "e0-1", "status": "RUNNING", "message": "Job is running."},
        {"submission_id": "e1-1", "status": "DREAMING", "message": ""},
        {"submission_id": None, "status": "SUCCEEDED", "message": None},
        {"submission_id": "another", "status": "FAILED", "message": "exit 1"},
    ]
    assert backend.statuses(_MANY) == {"e0-1": JobObservation(JobStatus.RUNNING, "Job is running.")}
    assert ray.asked == ["/api/jobs/"]


def test_few_are_not_worth_a_list(ray: Ray, backend: RayBackend) -> None:
    """Nothing is asked, and nothing said."""
    assert backend.statuses(_MANY[:5]) == {}
    assert ray.asked == []


def test_a_long_list_is_let_be(ray: Ray, backend: RayBackend) -> None:
    """Where nearly all that is listed is long over, it is asked for again after minutes, not at once."""
    ray.jobs += [{"submission_id": f"old-{each}", "status": "SUCCEEDED"} for each in range(601)]
    ray.jobs.append({"submission_id": "e0-1", "status": "RUNNING"})
    assert backend.statuses(_MANY).keys() == {"e0-1"}
    assert backend.statuses(_MANY) == {}
    ray.now += 301
    assert backend.statuses(_MANY).keys() == {"e0-1"}
    assert len(ray.asked) == 2


class Counting(FakeBackend):
    """Tells of many at once, but not of `hidden`, and remembers whom it was asked for by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.alone: list[str] = []
        self.hidden: set[str] = set()

    def status(self, job_id: str) -> JobObservation:
        self.alone.append(job_id)
        return super().status(job_id)

    def statuses(self, job_ids: Collection[str]) -> Mapping[str, JobObservation]:
        there = [each for each in job_ids if each in self.jobs and each not in self.hidden]
        return {each: JobObservation(self.jobs[each].status) for each in there}


def test_a_pass_looks_at_all_at_once(world: World) -> None:
    """Only who is left out is asked for by itself: a job is never taken for gone because a list lacks it."""
    backend = Counting()
    world = World(world.settings.model_copy(update={"max_running": 9}), world.store, backend)
    for number in range(3):
        world.add(f"e{number}")
    world.step()
    for number in range(3):
        backend.run(f"e{number}-1")
    backend.hidden = {"e2-1"}
    backend.alone.clear()
    world.step()
    assert [world.state(f"e{number}") for number in range(3)] == [State.RUNNING] * 3
    assert backend.alone == ["e2-1"]
