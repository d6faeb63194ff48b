"""A head that only starts jobs: the data are mounted on the worker alone, and jobs find them there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data_factories import spec_document, write_folder
from tests.integration.two_nodes import ENVIRONMENT, WORKER_CPUS, two_nodes, why_not
from tests.paths import ROOT
from trainer.base.ends import ExitCode
from trainer.results.followup import read_followup_report
from trainer.results.report import AttemptReport, read_report
from trainer.storage.layout import Storage
from trainer.storage.waiting import Waiting, read_waiting

_WHY_NOT = why_not()
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(_WHY_NOT is not None, reason=str(_WHY_NOT)),
]
LIMIT_SECONDS = 180
HOLDER = f"""
import ray, sys
ray.init(address=sys.argv[1], logging_level="error")
@ray.remote(num_cpus={WORKER_CPUS})
class Holder:
    def held(self): return True
holder = Holder.remote()
ray.get(holder.held.remote())
print("held", flush=True)
sys.stdin.read()
"""


class World:
    """A cluster, and what the head sees as an empty directory."""

    def __init__(self, address: str, mounted: Path, storage: Path) -> None:
        self.address = address
        self.storage = Storage.at(storage)
        self.mounted = mounted

    def command(self, module: str, document: dict[str, Any], *options: str) -> list[str]:
        """A job's command line, as the service makes it."""
        self.storage.folder.make()
        spec = self.storage.root / f"{options[1]}-{options[-1]}.json"
        spec.write_text(json.dumps(document))
        command = [sys.executable, "-m", module, "--spec", str(spec), "--storage", str(self.storage.root)]
        return [*command, "--data-root", f"mine={self.mounted}", *options]

    def run(self, module: str, document: dict[str, Any], *options: str) -> subprocess.CompletedProcess[str]:
        assert list(self.mounted.iterdir()) == []  # here, where the job itself runs
        return subprocess.run(
            self.command(module, document, *options),
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | ENVIRONMENT | {"RAY_ADDRESS": self.address}

    def report(self, experiment: str) -> AttemptReport:
        report = read_report(self.storage.attempt(experiment, 1).report)
        assert report is not None
        return report

    def log(self, experiment: str) -> str:
        return self.storage.attempt(experiment, 1).log.local.read_text()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("two")
    content, mounted = directory / "content", directory / "mounted"
    plain = np.arange(32 * 48).reshape(32, 48) % 2  # a class of the list is in no mask
    write_folder(content / "good", {"train": [plain, plain], "val": [plain]})
    write_folder(content / "bad", {"train": [np.full((32, 48), 99)], "val": [np.zeros((32, 48), int)]})
    mounted.mkdir()
    with two_nodes(mounted, content) as address:
        yield World(address, mounted, directory / "storage")


def document(folder: str, **changes: Any) -> dict[str, Any]:
    schedule = {"iterations": 2, "batch_size": 2, "crop_size": [32, 48]}
    dataset = {"name": "folder", "root": f"data:mine/{folder}"}
    return spec_document(dataset=dataset, schedule=schedule, **changes)


def test_an_experiment_and_its_evaluation(world: World) -> None:
    """Trained and scored again on the worker; what was noticed there of the data is in the report."""
    done = world.run("trainer.job", document("good"), "--experiment", "e1")
    assert done.returncode == 0, done.stdout + done.stderr
    report = world.report("e1")
    assert report.result is not None
    assert report.result.training_images == 2
    (notice,) = report.notices
    assert notice.code == "absent_class"
    assert f"notice: {notice}" in world.log("e1")
    request = {"kind": "evaluation", "dataset": {"name": "folder", "root": "data:mine/good"}}
    done = world.run("trainer.followup", request, "--experiment", "e1", "--followup", "f1")
    assert done.returncode == 0, done.stdout + done.stderr
    scored = read_followup_report(world.storage.followup("e1", "f1").attempt(1).report)
    assert scored is not None
    assert scored.state == "completed"


def test_what_is_printed_there(world: World) -> None:
    """It is in the job's own log, as if it had been printed by the job."""
    digits = {"name": "digit_scenes", "train_images": 50, "eval_images": 50}
    spec = spec_document(dataset=digits, schedule={"iterations": 2, "batch_size": 2})
    done = world.run("trainer.job", spec, "--experiment", "e3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rendering 50 + 50 digit scenes" in world.log("e3")


@pytest.mark.parametrize(
    ("folder", "code", "kind", "told"),
    [
        ("bad", ExitCode.FAILED, "DataError", "99"),
        ("missing", ExitCode.BAD_INPUT, "SpecError", "/dataset/root: 'data:mine/missing' does not exist"),
    ],
)
def test_what_is_wrong_with_the_data(world: World, folder: str, code: int, kind: str, told: str) -> None:
    """The errors that a job raises which reads them itself."""
    done = world.run("trainer.job", document(folder), "--experiment", f"e-{folder}")
    assert done.returncode == code, done.stdout + done.stderr
    error = world.report(f"e-{folder}").error
    assert error is not None
    assert error.type == kind
    assert told in error.message


def test_a_sweep(world: World) -> None:
    """Its driver stands on the head as well: trials are looked at, and run, on the worker."""
    sweep = {"base": document("good"), "seeds": [0, 1], "name": "two seeds"}
    done = world.run("sweeps.job", sweep, "--sweep", "s1", "--attempt", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [world.report(f"s1-{number:04d}").state for number in range(2)] == ["completed"] * 2
    sweep = {"base": document("missing"), "seeds": [0], "name": "nothing there"}
    done = world.run("sweeps.job", sweep, "--sweep", "s2", "--attempt", "1")
    assert done.returncode == ExitCode.BAD_INPUT, done.stdout + done.stderr
    assert (
        "SpecError: /base/dataset/root: trial 0 (baseline): /dataset/root: 'data:mine/missing'" in done.stdout
    )


def test_it_says_why_it_waits_and_is_cancelled(world: World) -> None:
    """With the worker's CPUs held by others: while it waits to look at the data SIGTERM still works."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, world.address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=world.environment,
    )
    try:
        assert holder.stdout is not None
        assert b"held" in holder.stdout.readline()
        job = subprocess.Popen(
            world.command("trainer.job", document("good"), "--experiment", "e2"),
            cwd=ROOT,
            env=world.environment,
            stdout=subprocess.DEVNULL,
        )
        waiting = _waiting(world.storage, "e2")
        assert waiting.code == "room"
        assert waiting.reason == "reading the data asks for 1 CPU, 0 of the cluster's are free"
        job.send_signal(signal.SIGTERM)
        assert job.wait(LIMIT_SECONDS) == ExitCode.TERMINATED
        assert world.report("e2").state == "cancelled"
    finally:
        holder.communicate(timeout=30)


def _waiting(storage: Storage, experiment: str) -> Waiting:
    pause, end = threading.Event(), time.monotonic() + LIMIT_SECONDS
    while (found := read_waiting(storage.attempt(experiment, 1).waiting)) is None:
        assert time.monotonic() < end
        pause.wait(0.1)
    return found
