"""A real MLflow server that is deleted from, goes away and comes back, under a real training."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil
import pytest

from service.reconcile.cluster import RunFact
from service.reconcile.mlflow_runs import MlflowRuns
from tests.data_factories import make_task
from tests.factories import tiny_spec
from trainer.results.report import AttemptReport, read_report
from trainer.run.attempt import Attempt
from trainer.storage.layout import Storage, mlflow_ids
from trainer.storage.tracking import Trouble, read_record
from trainer.track import main as track

pytestmark = pytest.mark.integration
LIMIT_SECONDS = 300.0
MOST_REQUESTS = 42  # of one experiment, files among them


class Mlflow:
    """`mlflow server` over one directory, started and stopped at will on one port."""

    def __init__(
        self,
        directory: Path,
        *,
        options: Sequence[str] = (),
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._directory = directory
        self._options = options
        self._environment = environment
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--port", str(self._port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self._directory}/mlflow.db"]
        command += ["--artifacts-destination", str(self._directory / "artifacts"), *self._options]
        with (self._directory / "mlflow.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=self._directory,
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **self._environment},
            )
        pause, end = threading.Event(), time.monotonic() + LIMIT_SECONDS
        while not self._healthy():
            assert time.monotonic() < end
            pause.wait(0.2)

    def stop(self) -> None:
        if self._process is not None:
            family = [psutil.Process(self._process.pid)]
            family += family[0].children(recursive=True)
            for each in family:
                with suppress(psutil.NoSuchProcess):
                    each.terminate()
            psutil.wait_procs(family, timeout=30)
            self._process.wait(30)
            self._process = None

    def requests(self) -> int:
        """How many it has answered, but for those after its health."""
        lines = (self._directory / "mlflow.log").read_text(errors="replace").splitlines()
        return sum("HTTP/1.1" in line and "/health" not in line for line in lines)

    def _healthy(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
            return bool(answer.status == 200)
        return False

    @property
    def client(self) -> Any:
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.uri)


@pytest.fixture
def mlflow(tmp_path: Path) -> Iterator[Mlflow]:
    directory = tmp_path / "mlflow"
    directory.mkdir()
    server = Mlflow(directory)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def train(storage: Storage, experiment: str, uri: str) -> AttemptReport:
    """One attempt as a sweep's worker runs it, in this process."""
    from trainer.run.worker import train_alone

    tags = {"rebalance.sweep": "s", "mlflow.parentRunId": "parent"}
    task = make_task(tiny_spec(), storage.root, experiment=experiment, mlflow_uri=uri, mlflow_tags=tags)
    attempt = Attempt(task)
    attempt.run(lambda each: train_alone(each.prepare()))
    report = read_report(attempt.dir.report)  # the last word: written after MLflow was told
    assert report is not None
    return report


def content(mlflow: Mlflow, run_id: str) -> dict[str, Any]:
    client = mlflow.client
    run = client.get_run(run_id)
    top = [each.path for each in client.list_artifacts(run_id)]
    table = client.load_table(run.info.experiment_id, "per_class_single_scale.json", [run_id])
    return {
        "status": run.info.status,
        "stage": run.info.lifecycle_stage,
        "parent": run.data.tags["mlflow.parentRunId"],
        "params": run.data.params,
        "steps": [each.step for each in client.get_metric_history(run_id, "train/loss")],
        "headline": len(client.get_metric_history(run_id, "mIoU")),
        "by_picture": len(client.get_metric_history(run_id, "image_mIoU")),
        "files": sorted(top),
        "rows": len(table),
    }


def test_everything_comes_back(mlflow: Mlflow, tmp_path: Path) -> None:
    """The experiment deleted in MLflow's interface: the next run restores it, and says so. MLflow away: the
    training completes and says what is missing; one command brings all of it, and once more changes nothing.
    """
    storage = Storage.at(tmp_path / "storage")
    first = train(storage, "e1", mlflow.uri)
    assert first.notices == ()
    assert mlflow.requests() < MOST_REQUESTS
    ids = mlflow_ids(storage.mlflow_run("e1"))
    expected = content(mlflow, ids["run_id"])
    assert (expected["status"], expected["steps"]) == ("FINISHED", [1, 2, 3, 4])
    assert expected["by_picture"] == 1
    assert "confusion.npz" in expected["files"]
    mlflow.client.delete_experiment(ids["experiment_id"])

    second = train(storage, "e2", mlflow.uri)
    assert [notice.text for notice in second.notices] == [
        "MLflow had deleted the run or its experiment; what was deleted is restored"
    ]
    assert content(mlflow, str(second.mlflow_run_id)) == expected
    assert content(mlflow, ids["run_id"]) == expected

    mlflow.stop()
    began = time.monotonic()
    third = train(storage, "e3", mlflow.uri)
    assert time.monotonic() - began < LIMIT_SECONDS
    assert third.state == "completed"
    assert third.mlflow_run_id is None
    record = read_record(storage.tracked("e3").record)
    assert record is not None
    assert (record.state, record.trouble) == ("behind", Trouble.UNREACHABLE)
    assert record.text in [notice.text for notice in third.notices]
    assert "Connection refused" in record.text

    mlflow.start()
    arguments = ["--experiment", "e3", "--storage", str(storage.root), "--mlflow-uri", mlflow.uri]
    arguments += ["--mlflow-tag=rebalance.sweep=s", "--mlflow-tag=mlflow.parentRunId=parent"]
    for _ in range(2):
        assert track(arguments) == 0
        assert content(mlflow, mlflow_ids(storage.mlflow_run("e3"))["run_id"]) == expected
    assert read_record(storage.tracked("e3").record) is not None
    runs, wanted = MlflowRuns(mlflow.uri), mlflow_ids(storage.mlflow_run("e3"))
    run = {wanted["run_id"]: wanted["experiment_id"]}
    assert runs.look(run) == {wanted["run_id"]: RunFact.THERE}
    mlflow.client.delete_run(wanted["run_id"])
    assert runs.look(run | {"f" * 32: wanted["experiment_id"]}) == {
        wanted["run_id"]: RunFact.DELETED,
        "f" * 32: RunFact.GONE,
    }
    assert track(arguments) == 0
    assert runs.look(run) == {wanted["run_id"]: RunFact.THERE}
    runs.close()


def test_deleted_runs_leave_nothing_behind(mlflow: Mlflow, tmp_path: Path) -> None:
    """What a run in the bin had logged is counted, and taken away over the API; other runs keep theirs."""
    client, file = mlflow.client, tmp_path / "final.pth"
    file.write_bytes(bytes(1234))
    ids = [client.create_run("0").info.run_id for _ in range(2)]
    for run_id in ids:
        client.log_artifact(run_id, str(file), "model/checkpoints")
    with closing(MlflowRuns(mlflow.uri)) as runs:
        assert runs.binned(set(ids)) == {}
        client.delete_run(ids[0])  # as a person does on its page
        assert runs.binned(set(ids)) == {ids[0]: 1234}
        runs.delete_run(ids[0])
        assert runs.binned(set(ids)) == {}
        runs.delete_run(ids[0])  # again: nothing is left to do
        runs.delete_run("0" * 32)
        assert runs.look(dict.fromkeys(ids, "0")) == {ids[0]: RunFact.DELETED, ids[1]: RunFact.THERE}
        assert [each.path for each in client.list_artifacts(ids[1], "model/checkpoints")]
