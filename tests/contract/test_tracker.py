"""The tracker port: one suite for the fake and for MLflow on a real SQLite store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trainer.storage.posix import PosixFile
from trainer.tracking import mlflow_compat
from trainer.tracking.tracker import (
    BackgroundTracker,
    MlflowTracker,
    RunIds,
    RunInfo,
    Tracker,
    TrackerError,
    open_noted,
)

Read = Callable[[str], dict[str, Any]]  # run id -> name, status, params, tags, metrics, files


class FakeTracker:
    """The port in memory; `broken` makes every call fail as an unreachable server does."""

    runs: dict[str, dict[str, Any]]

    def __init__(self, runs: dict[str, dict[str, Any]], *, broken: bool = False) -> None:
        self.runs = runs
        self._broken = broken
        self._run: dict[str, Any] = {}

    def open(self, info: RunInfo) -> RunIds:
        self._check()
        made = [each for each, run in self.runs.items() if info.maybe_made and run["key"] == info.key]
        run_id = info.run_id or next(iter(made), f"run{len(self.runs)}")
        fresh = {"params": dict(info.params), "tags": dict(info.tags), "metrics": {}, "files": set()}
        fresh["key"] = info.key
        self._run = self.runs.setdefault(run_id, fresh)
        self._run["status"] = "RUNNING"
        return RunIds(run_id, "0")

    def log_metrics(self, step: int, unix_seconds: float, values: Any) -> None:
        self._check()
        for name, value in values.items():
            points = self._run["metrics"].setdefault(name, [])
            if (step, value) not in points:
                points.append((step, value))

    def log_table(self, name: str, columns: Any) -> None:
        self._check()
        self._run["files"].add(f"{name}.json")

    def log_file(self, path: Path, folder: str = "") -> None:
        self._check()
        self._run["files"].add(f"{folder}/{path.name}" if folder else path.name)

    def close(self, status: str) -> None:
        self._check()
        self._run["status"] = status

    def _check(self) -> None:
        if self._broken:
            raise TrackerError("no server")


@pytest.fixture(params=["fake", pytest.param("mlflow", marks=pytest.mark.integration)])
def port(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Callable[[], Tracker], Read]:
    if request.param == "fake":
        runs: dict[str, dict[str, Any]] = {}
        return lambda: FakeTracker(runs), runs.__getitem__
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    return lambda: MlflowTracker(uri), _mlflow_reader(uri)


def _mlflow_reader(uri: str) -> Read:
    def read(run_id: str) -> dict[str, Any]:
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=uri)
        run = client.get_run(run_id)
        names = run.data.metrics
        found = [file.path for file in client.list_artifacts(run_id)]
        inner = [file.path for folder in found for file in client.list_artifacts(run_id, folder)]
        return {
            "status": run.info.status,
            "params": run.data.params,
            "tags": run.data.tags,
            "metrics": {
                name: [(point.step, point.value) for point in client.get_metric_history(run_id, name)]
                for name in names
            },
            "files": {*found, *inner},
        }

    return read


def info(run_id: str | None = None) -> RunInfo:
    params = {"method.kind": "baseline", "long": "x" * 7000}
    return RunInfo(
        group="digit_scenes", name="one", params=params, tags={"rebalance.experiment": "e1"}, run_id=run_id
    )


def test_a_run_keeps_what_it_is_given(
    port: tuple[Callable[[], Tracker], Read], tmp_path: Path, monkeypatch: Any
) -> None:
    """Parameters, tags, curves by step, tables, files and the final state can be read back."""
    monkeypatch.chdir(tmp_path)
    make, read = port
    tracker = make()
    run_id = tracker.open(info()).run_id
    tracker.log_metrics(1, 100.0, {"train/loss": 2.5})
    tracker.log_metrics(2, 101.0, {"train/loss": 1.5, "eval/mIoU": 20.0})
    tracker.log_table("per_class", {"class": ["a", "b"], "IoU": [50.0, None]})
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"state": "completed"}))
    tracker.log_file(report)
    tracker.log_file(report, "attempts/1")
    tracker.close("FINISHED")
    run = read(run_id)
    assert run["status"] == "FINISHED"
    assert run["params"]["method.kind"] == "baseline"
    assert run["tags"]["rebalance.experiment"] == "e1"
    assert run["metrics"] == {"train/loss": [(1, 2.5), (2, 1.5)], "eval/mIoU": [(2, 20.0)]}
    assert {"per_class.json", "report.json"} <= run["files"]


def test_mlflow_means_these_tags() -> None:
    """The names in trainer/tracking/mlflow_compat.py are MLflow's own."""
    from mlflow.utils import mlflow_tags

    assert mlflow_compat.PARENT_RUN == mlflow_tags.MLFLOW_PARENT_RUN_ID
    assert mlflow_compat.NOTE == mlflow_tags.MLFLOW_RUN_NOTE
    assert mlflow_compat.LOGGED_ARTIFACTS == mlflow_tags.MLFLOW_LOGGED_ARTIFACTS


def test_one_run_whoever_dies_when(
    port: tuple[Callable[[], Tracker], Read], tmp_path: Path, monkeypatch: Any
) -> None:
    """A process dies before its run is made, another before it could note it: the third has the same run."""
    monkeypatch.chdir(tmp_path)
    make, read = port
    note = PosixFile(tmp_path / "mlflow.json")
    note.write('{"key": "k1"}')
    made = open_noted(make(), note, info())
    note.write('{"key": "k1"}')
    again = open_noted(make(), note, info())
    assert again == made
    assert json.loads(note.read_text()) == {**made._asdict(), "key": "k1"}
    assert read(made.run_id)["params"]["method.kind"] == "baseline"
    assert open_noted(make(), note, info()) == made
    assert open_noted(make(), PosixFile(tmp_path / "other.json"), info()) != made


def test_a_later_attempt_continues_the_run(
    port: tuple[Callable[[], Tracker], Read], tmp_path: Path, monkeypatch: Any
) -> None:
    """Opening by id adds to the run, and sending a point again adds nothing."""
    monkeypatch.chdir(tmp_path)
    make, read = port
    first = make()
    run_id = first.open(info()).run_id
    first.log_metrics(1, 100.0, {"train/loss": 2.5})
    first.close("FAILED")
    second = make()
    assert second.open(info(run_id)).run_id == run_id
    assert read(run_id)["status"] == "RUNNING"
    second.log_metrics(1, 100.0, {"train/loss": 2.5})
    second.log_metrics(2, 101.0, {"train/loss": 1.5})
    second.close("KILLED")
    run = read(run_id)
    assert run["status"] == "KILLED"
    assert run["metrics"] == {"train/loss": [(1, 2.5), (2, 1.5)]}


def test_background_delivers_in_order() -> None:
    """All records arrive, in order, before flush returns; nothing is made before the first."""
    runs: dict[str, dict[str, Any]] = {}
    made = []

    def make() -> Tracker:
        tracker = FakeTracker(runs)
        tracker.open(info())
        made.append(tracker)
        return tracker

    background = BackgroundTracker(make)
    background.flush()
    assert not made
    for step in range(50):
        background.log_metrics(step, float(step), {"loss": 1.0 / (step + 1)})
    background.flush()
    assert not background.lost
    assert [step for step, _ in runs["run0"]["metrics"]["loss"]] == list(range(50))


def test_background_survives_a_dead_server() -> None:
    """A server that fails is said to have lost records; nothing is raised into training."""

    def make() -> Tracker:
        raise TrackerError("connection refused")

    background = BackgroundTracker(make)
    background.log_metrics(1, 1.0, {"loss": 1.0})
    background.log_metrics(2, 2.0, {"loss": 1.0})
    background.flush()
    assert background.lost


@pytest.mark.integration
def test_unreachable_mlflow_is_a_tracker_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address where nobody listens fails with our error, at once."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(TrackerError):
        MlflowTracker("http://127.0.0.1:9").open(info())
