"""Sweeps on a real Ray: to their table, through kills of everything, past failures, paused and stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from sweeps.results.report import SweepReport, read_sweep_report
from tests.data_factories import write_folder
from tests.factories import tiny_document
from tests.integration.sweep_process import (
    ENVIRONMENT,
    LIMIT_SECONDS,
    Sweep,
    document,
    same_weights,
    until,
)
from trainer.results.report import AttemptReport, read_report

pytestmark = pytest.mark.integration


def test_a_grid_to_its_table(tmp_path: Path, cluster: str) -> None:
    """λ × seeds: a report and an MLflow run for each trial, a table; each as if its experiment ran alone."""
    base = {"method": "region_rebalance"}
    axes = [{"pointer": "/method/lambda", "grid": [0, 0.3]}]
    sweep = Sweep(tmp_path, document(base=base, axes=axes, seeds=[0, 1]), cluster)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    report = sweep.run("--mlflow-uri", uri)
    assert report.trials.completed == 4
    assert report.best is not None
    (block,) = sweep.table().blocks
    assert [(row.row, row.seeds) for row in block.rows] == [("lambda=0", (0, 1)), ("lambda=0.3", (0, 1))]
    tables = {name for name in sweep.dir.folder.names() if name.startswith("table.")}
    assert tables == {f"table.{suffix}" for suffix in ("json", "md", "csv", "tex")}
    assert "completed: mIoU" in sweep.storage.attempt("s-0003", 1).log.read_text()

    alone = tmp_path / "alone.json"
    alone.write_text(json.dumps(json.loads(sweep.dir.trial(3).read_text())["spec"]))
    argv = [sys.executable, "-m", "trainer.job", "--spec", str(alone), "--experiment", "alone"]
    subprocess.run(
        [*argv, "--storage", str(sweep.storage.root)],
        env={**os.environ, **ENVIRONMENT, "RAY_ADDRESS": cluster},
        check=True,
        timeout=LIMIT_SECONDS,
        capture_output=True,
    )
    theirs, ours = read_report(sweep.storage.attempt("alone", 1).report), sweep.report(3)
    assert theirs is not None
    assert ours is not None
    assert theirs.result is not None
    assert ours.result is not None
    assert ours.result.evaluation == theirs.result.evaluation
    assert same_weights(
        *(sweep.storage.checkpoints(name).local / "final.pth" for name in ("alone", "s-0003"))
    )
    _tracked_below_one_run(uri, report, ours)


def _tracked_below_one_run(uri: str, report: SweepReport, trial: AttemptReport) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    assert report.mlflow_run_id is not None
    parent = client.get_run(report.mlflow_run_id)
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["trials/completed"] == 4
    paths = {item.path for item in client.list_artifacts(parent.info.run_id)}
    assert {"comparison.json", "table.json", "table.md", "table.csv", "table.tex"} <= paths
    assert {"report.html", "figures"} <= paths
    drawn = {item.path for item in client.list_artifacts(parent.info.run_id, "figures")}
    assert {"figures/figure3.svg", "figures/figure3.png", "figures/figure3.csv"} <= drawn
    child = client.get_run(trial.mlflow_run_id)
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert child.data.tags["rebalance.row"] == "lambda=0.3"
    assert child.info.status == "FINISHED"
    assert child.info.experiment_id == parent.info.experiment_id
    assert trial.result is not None
    gains = [each.data.metrics.get("delta_mIoU") for each in _runs_of(client, parent, "lambda=0.3")]
    assert all(gain is not None for gain in gains)
    assert not any("delta_mIoU" in each.data.metrics for each in _runs_of(client, parent, "lambda=0"))
    images = {item.path for item in client.list_artifacts(child.info.run_id, "images")}
    assert len(images) == 6  # three pictures, each large and small
    assert {each.dataset.name for each in child.inputs.dataset_inputs} == {
        "digit_scenes-train",
        "digit_scenes-val",
    }
    assert len(child.outputs.model_outputs) == 1
    assert "viewStateShareKey=rebalance-" in parent.data.tags["mlflow.note.content"]


def _runs_of(client: Any, parent: Any, row: str) -> list[Any]:
    found = client.search_runs([parent.info.experiment_id], f"tags.`rebalance.row` = '{row}'")
    return list(found)


def test_a_killed_driver(tmp_path: Path, cluster: str) -> None:
    """The same command goes on: what ended is not run again, what ran resumes, none is lost or doubled."""
    sweep = Sweep(tmp_path, document(iterations=60, seeds=[0, 1, 2, 3]), cluster)
    driver = sweep.start()
    until(
        lambda: sweep.ended() and any(sweep.iteration(k) > 12 for k in (2, 3)), "a trial runs after one ended"
    )
    driver.kill()
    driver.wait()
    before = sweep.ended()
    begun = [k for k in range(4) if sweep.iteration(k) > 12 and sweep.report(k) is None]
    assert begun
    assert len(before) < 4
    report = sweep.run(attempt=2)
    assert report.trials.completed == 4
    assert sweep.trials() == [sweep.id(k) for k in range(4)]
    assert before.items() <= sweep.ended().items(), "a report was written again"
    assert len(sweep.ended()) == 4
    assert all("resumed from iteration" in sweep.messages(k, 2)[0] for k in begun)


def test_troubles_stay_with_their_trial(
    tmp_path: Path, cluster: str, warm_actors: Callable[[], list[psutil.Process]]
) -> None:
    """A killed actor costs an attempt, bad data its own trials, a stop file one trial; the rest go on."""
    plain = [[[k % 3 for k in range(48)]] * 32] * 2
    strange = [[[7] * 48] * 32]
    bad = write_folder(tmp_path / "bad", {"train": [*plain, *strange], "val": plain}, classes=["a", "b", "c"])
    good = tiny_document()["dataset"]
    folder = {"name": "folder", "root": str(bad), "train_split": "train", "eval_split": "val"}
    fields = {"axes": [{"pointer": "/dataset", "grid": [good, folder]}], "seeds": [0, 1, 2]}
    schedule = {"iterations": 100, "batch_size": 2, "crop_size": [32, 48], "learning_rate": 0.1}
    sweep = Sweep(tmp_path, {"base": tiny_document(schedule=schedule), **fields}, cluster)
    driver = sweep.start()
    until(lambda: sweep.iteration(0) > 20, "trial 0 has a checkpoint")
    for process in warm_actors():
        process.kill()
    until(lambda: sweep.iteration(2) > 5 or sweep.iteration(2, 2) > 5, "trial 2 runs")
    sweep.storage.stop(sweep.id(2)).write("enough of this one")
    report = sweep.finish(driver)
    assert report.trials.model_dump() == {
        "completed": 2, "failed": 3, "cancelled": 1, "stopped": 0, "waiting": 0
    }  # fmt: skip
    lost, resumed = sweep.report(0), sweep.report(0, 2)
    assert lost is not None
    assert lost.error is not None
    assert lost.error.type == "WorkerLost"
    assert resumed is not None
    assert resumed.state == "completed"
    assert "resumed from iteration" in sweep.messages(0, 2)[0]
    # It may have been among those that were killed: then its second attempt found the labels.
    failed = sweep.report(1, sweep.storage.newest_attempt(sweep.id(1)))
    assert failed is not None
    assert failed.error is not None
    assert failed.error.type == "DataError"
    stopped = sweep.report(2, sweep.storage.newest_attempt(sweep.id(2)))
    assert stopped is not None
    assert stopped.error is not None
    assert stopped.error.message == "enough of this one"
    assert any("without a result" in note for note in sweep.table().notes)


def test_pause_and_resume(
    tmp_path: Path, cluster: str, warm_actors: Callable[[], list[psutil.Process]]
) -> None:
    """While the pause file is there, be it from the start, what runs finishes and nothing starts, and no idle
    actor keeps a CPU.
    """
    limits = {"concurrent_trials": 1}
    sweep = Sweep(tmp_path, document(iterations=20, seeds=[0, 1, 2], limits=limits), cluster)
    sweep.dir.folder.make()
    sweep.dir.pause.write("")
    driver = sweep.start()
    until(lambda: (sweep.dir.attempt(1).path / "tune").exists(), "the driver waits")
    assert sweep.storage.newest_attempt(sweep.id(0)) == 0
    sweep.dir.pause.delete()
    until(lambda: sweep.iteration(0) >= 1, "trial 0 runs")
    sweep.dir.pause.write("")
    until(lambda: sweep.report(0), "trial 0 ends")
    until(lambda: not warm_actors(), "the idle actor ends")
    assert driver.poll() is None
    assert sweep.iteration(1) == 0
    sweep.dir.pause.delete()
    assert sweep.finish(driver).trials.completed == 3


def test_asha_stops_trials_and_remembers_it(tmp_path: Path, cluster: str) -> None:
    """Worse trials stop at a rung and keep their checkpoints; after a kill they are not run again."""
    rates = [0.1, 0.0001, 0.00001, 0.05, 0.00002, 0.2]
    fields = {
        "axes": [{"pointer": "/schedule/learning_rate", "grid": rates}],
        "scheduler": {"kind": "asha", "grace_iterations": 10, "reduction_factor": 2},
    }
    sweep = Sweep(tmp_path, document(iterations=40, base={"evaluation": {"interval": 10}}, **fields), cluster)
    driver = sweep.start()

    def stopped() -> list[int]:
        reports = {number: sweep.report(number) for number in range(6)}
        return [k for k, one in reports.items() if one and one.error and one.error.type == "StoppedEarly"]

    until(stopped, "a trial was stopped early")
    driver.kill()
    driver.wait()
    before, early = sweep.ended(), stopped()
    report = sweep.run(attempt=2)
    assert before.items() <= sweep.ended().items()
    assert report.trials.waiting == 0
    assert report.trials.stopped >= len(early)
    assert report.trials.completed >= 1
    assert all(sweep.storage.newest_attempt(sweep.id(number)) == 1 for number in early)
    for number in early:  # at whichever rung: that depends on who came there first
        checkpoints = sweep.storage.checkpoints(sweep.id(number)).local
        assert (checkpoints / f"iter_{sweep.iteration(number)}.pth").exists()
    assert any("stopped early" in note for note in sweep.table().notes)


def test_sigterm_ends_a_driver_and_its_own_cluster(tmp_path: Path) -> None:
    """Stopped while a trial trains: exit code 143, the sweep's report says so, its trials have none."""
    sweep = Sweep(tmp_path, document(iterations=2000), None)
    driver = sweep.start()
    until(lambda: sweep.iteration(0) >= 1, "trial 0 runs")
    driver.send_signal(signal.SIGTERM)
    assert driver.wait(timeout=60) == 143
    report = read_sweep_report(sweep.dir.attempt(1).report)
    assert report is not None
    assert report.state == "cancelled"
    assert report.error is not None
    assert "SIGTERM" in report.error.message
    assert sweep.ended() == {}
