"""A job of one worker on a real Ray: no Ray Train, and all that it gave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from tests.factories import tiny_document
from tests.integration.sweep_process import ENVIRONMENT, LIMIT_SECONDS, until
from trainer.base.ends import End
from trainer.results.report import AttemptReport, read_report
from trainer.storage.layout import Storage
from trainer.storage.sink import read_records

pytestmark = pytest.mark.integration

# Two threads, for the environment says one: the count changes bits.
LONG: dict[str, Any] = {
    "schedule": {"iterations": 60, "batch_size": 4, "learning_rate": 0.1},
    "resources": {"cpus_per_worker": 2},
}
# The plan of the experiment "direct", as the experiment "train", through Ray Train.
_RAY_TRAIN = """
import sys
from trainer.plan import Plan
from trainer.run import launch
from trainer.storage.layout import Storage
plan = Plan.model_validate_json(Storage.at(sys.argv[1]).attempt("direct", 1).plan.read_text())
launch.connect()
launch.train_under_ray_train(plan.model_copy(update={"experiment": "train"}))
"""


class Job:
    """Attempts at one experiment, each driver a process; on the Ray at `address`, else each on its own."""

    def __init__(self, directory: Path, address: str | None, *, name: str = "e1", **overrides: Any) -> None:
        self.storage = Storage.at(directory / "storage")
        self.name = name
        self._spec = directory / f"{name}.json"
        self._spec.write_text(json.dumps(tiny_document(**overrides)))
        self._environment = os.environ | ENVIRONMENT | ({"RAY_ADDRESS": address} if address else {})

    def start(self, attempt: int = 1, **environment: str) -> subprocess.Popen[bytes]:
        argv = ["-m", "trainer.job", "--spec", str(self._spec), "--storage", str(self.storage.root)]
        return self.python(*argv, "--experiment", self.name, "--attempt", str(attempt), **environment)

    def python(self, *argv: str, **environment: str) -> subprocess.Popen[bytes]:
        with self._spec.with_suffix(".txt").open("ab") as out:
            return subprocess.Popen(
                [sys.executable, *argv], stdout=out, stderr=out, env=self._environment | environment
            )

    def finish(self, process: subprocess.Popen[bytes], attempt: int = 1) -> AttemptReport:
        process.wait(timeout=LIMIT_SECONDS)
        report = read_report(self.storage.attempt(self.name, attempt).report)
        assert report is not None, self._spec.with_suffix(".txt").read_text()
        return report

    def is_past(self, iteration: int, attempt: int = 1) -> bool:
        records = read_records(self.storage.attempt(self.name, attempt).metrics)
        return any(record["iteration"] > iteration for record in records)

    def losses(self) -> list[float]:
        records = read_records(self.storage.attempt(self.name, 1).metrics)
        return [record["loss"] for record in records if record["kind"] == "train"]

    def resumed(self, attempt: int) -> bool:
        records = read_records(self.storage.attempt(self.name, attempt).metrics)
        return any("resumed from iteration" in each["message"] for each in records if each["kind"] == "event")

    def has_the_weights_of(self, other: Job) -> bool:
        mine, others = (
            torch.load(each.storage.checkpoints(each.name).local / "final.pth", weights_only=True)
            for each in (self, other)
        )
        ours, theirs = mine["state_dict"], others["state_dict"]
        return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory, cluster: str) -> Job:
    """A job that nobody disturbed."""
    job = Job(tmp_path_factory.mktemp("untouched"), cluster, name="direct", **LONG)
    assert job.finish(job.start()).state is End.COMPLETED
    return job


@pytest.fixture
def workers(local_ray: tuple[str, psutil.Process]) -> Callable[[], list[psutil.Process]]:
    """The processes in the module's Ray that train."""

    def found() -> list[psutil.Process]:
        children = local_ray[1].children(recursive=True)
        return [one for one in children if "ray::WorkerActor" in _title(one)]

    return found


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def test_ray_train_has_the_same_weights(tmp_path: Path, untouched: Job) -> None:
    """Bit for bit, and the same losses on the way; nothing of Ray Train is left in the run directory."""
    train = Job(untouched.storage.root.parent, None, name="train")
    process = untouched.python("-c", _RAY_TRAIN, str(untouched.storage.root))
    assert process.wait(timeout=LIMIT_SECONDS) == 0
    assert untouched.has_the_weights_of(train)
    assert len(untouched.losses()) == 60
    assert untouched.losses() == train.losses()
    assert (train.storage.attempt("train", 1).path / "ray_train").exists()
    assert not (untouched.storage.attempt("direct", 1).path / "ray_train").exists()


def test_kills_of_worker_and_driver(
    tmp_path: Path, cluster: str, untouched: Job, workers: Callable[[], list[psutil.Process]]
) -> None:
    """A worker that is killed or crashes is a WorkerLost, to be tried again, its last words in the log; a
    killed driver leaves no process. Each next attempt goes on from the last checkpoint, and the last has the
    weights of a job that nobody disturbed.
    """
    job = Job(tmp_path, cluster, **LONG)
    for attempt, number in enumerate((signal.SIGKILL, signal.SIGSEGV), start=1):
        driver = job.start(attempt)
        until(partial(job.is_past, 12 * attempt, attempt), "it trains")
        (worker,) = workers()
        worker.send_signal(number)
        lost = job.finish(driver, attempt)
        assert driver.returncode == 1
        assert lost.error is not None
        assert (lost.error.type, lost.error.retryable) == ("WorkerLost", True)
    assert "Segmentation fault" in job.storage.attempt(job.name, 2).log.read_text()
    driver = job.start(3)
    until(partial(job.is_past, 36, 3), "it trains again")
    driver.kill()
    driver.wait()
    until(lambda: not workers(), "its worker ends")
    assert job.finish(job.start(4), 4).state is End.COMPLETED
    assert [job.resumed(attempt) for attempt in (1, 2, 3, 4)] == [False, True, True, True]
    assert job.has_the_weights_of(untouched)


def test_what_training_raises(tmp_path: Path, cluster: str) -> None:
    """It keeps its class and message through Ray, and is final; where it was raised is in the log."""
    job = Job(tmp_path, cluster)
    (job.storage.checkpoints(job.name).local / "final.pth").mkdir(parents=True)
    error = job.finish(job.start()).error
    assert error is not None
    assert (error.type, error.retryable) == ("IsADirectoryError", False)
    assert "final.pth" in error.message
    assert "ray" not in error.message
    assert "save_whole" in job.storage.attempt(job.name, 1).log.read_text()


def test_a_stop_file(tmp_path: Path, cluster: str) -> None:
    """Read while it trains: cancelled, in the words of who asked."""
    job = Job(tmp_path, cluster, schedule={"iterations": 2000, "batch_size": 4})
    driver = job.start()
    until(partial(job.is_past, 0), "it trains")
    job.storage.stop(job.name).write("enough of this one")
    report = job.finish(driver)
    assert driver.returncode == 143
    assert report.state is End.CANCELLED
    assert report.error is not None
    assert report.error.message == "enough of this one"


def test_memory_that_ran_out(tmp_path: Path) -> None:
    """Ray ends the worker where the node's memory is full, here always: told as such, and final."""
    job = Job(tmp_path, None)
    driver = job.start(RAY_memory_usage_threshold="0.01", RAY_memory_monitor_refresh_ms="100")
    error = job.finish(driver).error
    assert error is not None
    assert (error.type, error.retryable) == ("OutOfMemoryError", False)


def test_a_lost_node(tmp_path: Path, nodes: tuple[str, subprocess.Popen[str]]) -> None:
    """The driver is on a head without CPUs; the worker's node goes, and the next attempt uses a new one."""
    address, process = nodes
    job = Job(tmp_path, address, schedule=LONG["schedule"])
    driver = job.start()
    until(partial(job.is_past, 12), "it trains")
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    lost = job.finish(driver)
    assert lost.error is not None
    assert (lost.error.type, lost.error.retryable) == ("NodeLost", True)
    assert job.finish(job.start(2), 2).state is End.COMPLETED
    assert job.resumed(2)
