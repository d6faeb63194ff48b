"""`rebalance serve` with a real Ray and a real MLflow: start, refusal, adoption, stop."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import psutil
import pytest

from service.client import RebalanceClient
from service.local import processes
from service.local.data_dir import DataDir, read_processes
from service.local.servers import answers, remove_leftovers
from service.shared.endpoints import Endpoints, read_endpoints

pytestmark = pytest.mark.integration

START_SECONDS = 240.0  # a busy machine with two cores
STOP_SECONDS = 60.0


def _until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        threading.Event().wait(0.05)
    return value


def _command(directory: Path) -> list[str]:
    return [sys.executable, "-m", "service.cli", "serve", "--data-dir", str(directory), "--port", "0"]


class Serve:
    """One `rebalance serve` process on a data directory."""

    def __init__(self, directory: Path, output: IO[str]) -> None:
        self.directory = directory
        self.output = output
        self.starts = 0
        self.process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        self.starts += 1
        return subprocess.Popen(
            _command(self.directory), stdout=self.output, stderr=subprocess.STDOUT, text=True
        )

    def again(self) -> None:
        self.process = self._start()

    def ready(self) -> Endpoints:
        """The addresses of this process, once all is healthy."""

        def found() -> Endpoints | None:
            assert self.process.poll() is None, f"serve ended: {self.said()}"
            announced = self.said().count("Ctrl-C stops all of it.") == self.starts
            return read_endpoints(self.directory) if announced else None

        return _until(found, START_SECONDS, "serve is ready")

    def said(self) -> str:
        return Path(self.output.name).read_text(encoding="utf-8")

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    directory = tmp_path / "data"
    with (tmp_path / "output").open("w", encoding="utf-8") as output:
        running = Serve(directory, output)
        yield running
        token, records = read_processes(DataDir(directory))
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait(STOP_SECONDS)
        if token is not None:
            processes.stop(token)
        for record in records.values():
            remove_leftovers(record.details)


def test_one_instance_from_start_to_stop(serve: Serve) -> None:
    """Starts all three, is refused a second time, is adopted after SIGKILL, stops everything it started."""
    directory = DataDir(serve.directory)
    first = serve.ready()
    _all_answer(first)
    token, records = read_processes(directory)
    assert token is not None
    assert set(records) == {"ray", "mlflow"}
    assert json.loads(directory.endpoints.read_text()) == first.to_json()
    _ray_takes_jobs_with_the_printed_line(serve)
    _second_is_refused(serve, first)

    serve.end(signal.SIGKILL)
    assert all(processes.is_running(record) for record in records.values())
    assert answers(f"{first.mlflow}/health")
    serve.again()
    second = serve.ready()
    assert read_processes(directory) == (token, records), "the next serve adopts what still runs"
    assert (second.ray, second.mlflow) == (first.ray, first.mlflow)
    assert second.api != first.api
    _all_answer(second)

    temp_dir = Path(records["ray"].details["temp_dir"])
    assert temp_dir.is_dir()
    assert serve.end(signal.SIGTERM) == 0, serve.said()
    assert processes.family(token) == []
    assert not any(processes.is_running(record) for record in records.values())
    assert not directory.endpoints.exists()
    assert not directory.processes.exists()
    assert not temp_dir.exists()


def test_what_dies_is_started_again_and_ctrl_c_stops_all(serve: Serve) -> None:
    """Ray and MLflow come back on their ports after SIGKILL; the API goes on; Ctrl-C ends it with 0."""
    directory = DataDir(serve.directory)
    endpoints = serve.ready()
    token, records = read_processes(directory)
    assert token is not None
    for record in records.values():
        psutil.Process(record.pid).kill()

    def restarted() -> bool:
        now = read_processes(directory)[1]
        return all(name in now and now[name].pid != records[name].pid for name in records)

    _until(restarted, START_SECONDS, "both are started again")
    _until(lambda: serve.said().count(": ready after") >= 6, START_SECONDS, "both are healthy again")
    _all_answer(endpoints)
    assert serve.end(signal.SIGINT) == 0, serve.said()
    assert processes.family(token) == []


def _all_answer(endpoints: Endpoints) -> None:
    assert answers(f"{endpoints.mlflow}/health")
    with RebalanceClient(endpoints.api) as client:
        _until(lambda: client.ready().status == "ok", STOP_SECONDS, "the API is ready")
        assert list(client.experiments()) == []


def _ray_takes_jobs_with_the_printed_line(serve: Serve) -> None:
    """`ray job submit` works with the line of environment that serve prints, and not without it."""
    line = next(line for line in serve.said().splitlines() if line.strip().startswith("export RAY_"))
    given = dict(part.split("=", 1) for part in shlex.split(line.strip().removeprefix("export ")))
    assert (serve.directory / "ray.env").read_text().strip() == line.strip()
    argv = [sys.executable, "-m", "ray.scripts.scripts", "job", "submit", "--", "python", "-c", "print(6*7)"]
    done = subprocess.run(argv, env=os.environ | given, capture_output=True, text=True, timeout=START_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "42" in done.stdout
    assert not answers(f"{given['RAY_API_SERVER_ADDRESS']}/api/jobs/"), "no job without the token"


def _second_is_refused(serve: Serve, endpoints: Endpoints) -> None:
    done = subprocess.run(_command(serve.directory), capture_output=True, text=True, timeout=STOP_SECONDS)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert endpoints.api in done.stderr
    assert read_endpoints(serve.directory) == endpoints, "the refused one has touched nothing"
