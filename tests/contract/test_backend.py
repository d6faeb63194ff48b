"""What every backend promises: one suite for the fake and for Ray."""

from __future__ import annotations

import http.server
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from service.reconcile.cluster import AlreadySubmitted, Backend, BackendUnreachable, JobStatus
from service.reconcile.ray_backend import RayBackend
from tests.fakes import FakeBackend
from trainer.spec.recipes import Machines

LIMIT_SECONDS = 60.0


class Bench:
    """A backend, and what a test must be able to make happen in its cluster."""

    backend: Backend

    def let_run(self, job_id: str) -> None:
        """Returns when the job's command has started."""
        raise NotImplementedError

    def let_end(self, job_id: str, status: JobStatus) -> None:
        """Returns when the job is seen in `status`; its command is such that it gets there."""
        raise NotImplementedError


class FakeBench(Bench):
    def __init__(self) -> None:
        self.backend = self.fake = FakeBackend()

    def let_run(self, job_id: str) -> None:
        self.fake.run(job_id)
        self.fake.jobs[job_id].log = "hello\n"

    def let_end(self, job_id: str, status: JobStatus) -> None:
        if not self.fake.jobs[job_id].status.over:
            self.fake.finish(job_id, status, "exit code 3" if status is JobStatus.FAILED else "")
            self.fake.jobs[job_id].exit_code = 3 if status is JobStatus.FAILED else None


class RayBench(Bench):
    def __init__(self, address: str) -> None:
        self.backend = self.ray = RayBackend(address)

    def let_run(self, job_id: str) -> None:
        until(lambda: self.backend.status(job_id).status not in (JobStatus.PENDING, JobStatus.UNREACHABLE))
        until(lambda: "hello" in self.backend.logs(job_id))

    def let_end(self, job_id: str, status: JobStatus) -> None:
        until(lambda: self.backend.status(job_id).status.over)
        assert self.backend.status(job_id).status is status


def until(condition: Callable[[], bool]) -> None:
    pause, end = threading.Event(), time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < end, f"not within {LIMIT_SECONDS} s"
        pause.wait(0.1)


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now, all different."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@pytest.fixture(scope="module")
def ray_address() -> Iterator[str]:
    """A Ray of our own with one CPU, which wants a token; everything it started is stopped again."""
    flags = [
        "port",
        "dashboard-port",
        "ray-client-server-port",
        "dashboard-agent-listen-port",
        "metrics-export-port",
        "dashboard-agent-grpc-port",
        "runtime-env-agent-port",
        "node-manager-port",
        "object-manager-port",
    ]
    ports = free_ports(len(flags))
    first_worker_port = 20_000 + secrets.randbelow(400) * 100
    with (
        tempfile.TemporaryDirectory(prefix="rrb", dir="/tmp") as directory,
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv("RAY_AUTH_MODE", "token")
        environment.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
        command += [
            "--num-cpus=1",
            "--num-gpus=0",
            "--object-store-memory=80000000",
            f"--temp-dir={directory}",
        ]
        command += ["--disable-usage-stats", "--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1"]
        command += [f"--{flag}={port}" for flag, port in zip(flags, ports, strict=True)]
        command += [f"--min-worker-port={first_worker_port}", f"--max-worker-port={first_worker_port + 99}"]
        with Path(directory, "out.txt").open("wb") as out:
            head = subprocess.Popen(
                command,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                with closing(RayBackend(f"http://127.0.0.1:{ports[1]}")) as backend:
                    until(lambda: head.poll() is not None or reachable(backend))
                assert head.poll() is None, Path(directory, "out.txt").read_text()
                yield f"http://127.0.0.1:{ports[1]}"
            finally:
                end_session(head)


def reachable(backend: Backend) -> bool:
    try:
        backend.ping()
    except BackendUnreachable:
        return False
    return True


def end_session(head: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the group, SIGKILL to what is left of it and to children in groups of their own."""
    family = [psutil.Process(head.pid), *psutil.Process(head.pid).children(recursive=True)]
    os.killpg(head.pid, signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=10)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=10)
    head.wait(10)


@pytest.fixture(params=["fake", pytest.param("ray", marks=pytest.mark.integration)])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    if request.param == "fake":
        yield FakeBench()
        return
    of_ray = RayBench(request.getfixturevalue("ray_address"))
    with closing(of_ray.ray):
        yield of_ray


@pytest.fixture
def job_id() -> str:
    """Ids work once, also across the tests of one cluster."""
    return f"{secrets.token_hex(6)}-1"


WAITS = ["sh", "-c", "echo hello; exec sleep 600"]
SUCCEEDS = ["sh", "-c", "echo hello"]
FAILS = ["sh", "-c", "echo hello; exit 3"]


def test_ping(bench: Bench) -> None:
    """A cluster that is there answers."""
    bench.backend.ping()


def test_what_the_cluster_has(bench: Bench) -> None:
    """Of all nodes together; a head that has just started does not know its own yet, and says so."""

    def known() -> Machines | None:
        try:
            return bench.backend.machines()
        except BackendUnreachable:
            return None

    until(lambda: known() is not None)
    assert known() in (Machines(gpus=0, cpus=1), FakeBackend().has)


def test_an_unknown_job(bench: Bench, job_id: str) -> None:
    """GONE, no logs, and stopping it is no error."""
    assert bench.backend.status(job_id).status is JobStatus.GONE
    assert bench.backend.logs(job_id) == ""
    bench.backend.stop(job_id)


def test_a_job_that_succeeds(bench: Bench, job_id: str) -> None:
    """Submitted it is known at once; at its end SUCCEEDED, with what it printed."""
    bench.backend.submit(job_id, SUCCEEDS, {"experiment": "e1"})
    assert bench.backend.status(job_id).status is not JobStatus.GONE
    bench.let_run(job_id)
    bench.let_end(job_id, JobStatus.SUCCEEDED)
    assert "hello" in bench.backend.logs(job_id)


def test_a_job_that_fails(bench: Bench, job_id: str) -> None:
    """FAILED, and message and exit code say how."""
    bench.backend.submit(job_id, FAILS, {})
    bench.let_run(job_id)
    bench.let_end(job_id, JobStatus.FAILED)
    assert "exit code 3" in bench.backend.status(job_id).message
    assert bench.backend.status(job_id).exit_code == 3


def test_an_id_works_once(bench: Bench, job_id: str) -> None:
    """A second submit is told so, while the job runs and after its end; the first job is not touched."""
    bench.backend.submit(job_id, WAITS, {})
    with pytest.raises(AlreadySubmitted):
        bench.backend.submit(job_id, FAILS, {})
    bench.let_run(job_id)
    bench.backend.stop(job_id)
    bench.let_end(job_id, JobStatus.STOPPED)
    with pytest.raises(AlreadySubmitted):
        bench.backend.submit(job_id, SUCCEEDS, {})
    assert bench.backend.status(job_id).status is JobStatus.STOPPED


def test_stop(bench: Bench, job_id: str) -> None:
    """A running job ends as STOPPED; stopping it again is no error."""
    bench.backend.submit(job_id, WAITS, {})
    bench.let_run(job_id)
    assert bench.backend.status(job_id).status is JobStatus.RUNNING
    bench.backend.stop(job_id)
    bench.let_end(job_id, JobStatus.STOPPED)
    bench.backend.stop(job_id)
    assert bench.backend.status(job_id).status is JobStatus.STOPPED


def test_a_job_that_ignores_its_end_is_killed(bench: Bench, job_id: str) -> None:
    """SIGTERM does nothing to it; the cluster does not ask again, and it ends as STOPPED."""
    bench.backend.submit(job_id, ["sh", "-c", "trap '' TERM; echo hello; while :; do sleep 1; done"], {})
    bench.let_run(job_id)
    bench.backend.stop(job_id)
    bench.let_end(job_id, JobStatus.STOPPED)


def test_many_jobs_at_once(bench: Bench, job_id: str) -> None:
    """Of those asked for the one that there is, as it is told of by itself; nothing of unknown ones."""
    bench.backend.submit(job_id, FAILS, {})
    bench.let_run(job_id)
    bench.let_end(job_id, JobStatus.FAILED)
    unknown = [f"{secrets.token_hex(6)}-1" for _ in range(30)]
    assert bench.backend.statuses([*unknown, job_id]) == {job_id: bench.backend.status(job_id)}


def test_words_reach_the_command_unchanged(bench: Bench, job_id: str) -> None:
    """Blanks, quotes and dollar signs in an argument are not the shell's business."""
    odd = "a b'c\"d$HOME*"
    bench.backend.submit(job_id, ["printf", "hello %s", odd], {})
    bench.let_run(job_id)
    bench.let_end(job_id, JobStatus.SUCCEEDED)
    if isinstance(bench, FakeBench):
        assert bench.fake.jobs[job_id].command[-1] == odd
    else:
        assert f"hello {odd}" in bench.backend.logs(job_id)


def test_drivers_take_no_resources(bench: Bench) -> None:
    """More drivers than CPUs run at once: a driver asks for none."""
    ids = [f"{secrets.token_hex(6)}-1" for _ in range(2)]
    for each in ids:
        bench.backend.submit(each, WAITS, {})
    for each in ids:
        bench.let_run(each)
    assert {bench.backend.status(each).status for each in ids} == {JobStatus.RUNNING}
    for each in ids:
        bench.backend.stop(each)
        bench.let_end(each, JobStatus.STOPPED)


@pytest.mark.integration
@pytest.mark.parametrize("token", ["", "wrong"])
def test_a_token_that_ray_refuses(ray_address: str, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known then: no job is gone or refused for good. The variable is named, not its value."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", token)
    monkeypatch.setenv("RAY_AUTH_MODE", "token" if token else "disabled")
    with closing(RayBackend(ray_address)) as backend:
        assert backend.status("e1-1").status is JobStatus.UNREACHABLE
        with pytest.raises(BackendUnreachable, match="RAY_AUTH_TOKEN") as refused:
            backend.submit("e1-1", SUCCEEDS, {})
    assert "wrong" not in str(refused.value)


class Stranger(http.server.BaseHTTPRequestHandler):
    """Answers, but is not the Jobs API, or does not let us in."""

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.server.code)  # type: ignore[attr-defined]
        self.end_headers()
        self.wfile.write(b"<html>welcome</html>")

    do_GET = do_POST = answer

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture(params=["fake", "refused", "silent", 200, 401, 403, 404, 500, 503])
def away(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """A cluster that is not there: off, refusing connections, silent, or somebody else altogether."""
    if request.param == "fake":
        fake = FakeBackend()
        fake.down = True
        yield fake
        return
    if isinstance(request.param, int):
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
            server.code = request.param  # type: ignore[attr-defined]
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            with closing(RayBackend(f"http://127.0.0.1:{server.server_port}", answer_seconds=0.3)) as ray:
                yield ray
            server.shutdown()
            thread.join(10)
        return
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if request.param == "silent":
            listener.listen()
        with closing(RayBackend(f"http://127.0.0.1:{listener.getsockname()[1]}", answer_seconds=0.3)) as ray:
            yield ray


def test_a_cluster_that_is_away(away: Backend) -> None:
    """status says UNREACHABLE, everything else raises; nothing waits for ever."""
    assert away.status("e1-1").status is JobStatus.UNREACHABLE
    many = away.statuses([f"e{number}-1" for number in range(30)])
    assert {job.status for job in many.values()} <= {JobStatus.UNREACHABLE}
    for call in (
        away.ping,
        away.machines,
        lambda: away.submit("e1-1", ["true"], {}),
        lambda: away.stop("e1-1"),
        lambda: away.logs("e1-1"),
    ):
        with pytest.raises(BackendUnreachable):
            call()
