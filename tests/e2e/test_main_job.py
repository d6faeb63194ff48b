"""The main job over HTTP: POST a spec, and everything it promises comes out. Real Ray, MLflow, SQLite."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from service.shared.schemas import ExperimentPublic
from tests.browser import watched
from tests.e2e.instance import RUN_SECONDS, Instance, until
from tests.factories import tiny_document
from trainer.storage.layout import Storage
from trainer.storage.sink import read_records

pytestmark = pytest.mark.e2e

REBALANCED = {"kind": "region_rebalance", "lambda": 0.3}
ON_TWO: dict[str, Any] = {
    "method": REBALANCED,
    "schedule": {"iterations": 60, "batch_size": 4, "learning_rate": 0.1},
    "resources": {"workers": 2},
}
LONG = {"iterations": 2000, "batch_size": 4}  # a few minutes: always still running when a test acts


def wait(instance: Instance, identifier: str) -> ExperimentPublic:
    with instance.client() as client:
        return until(
            lambda: one if (one := client.experiment(identifier)).ended_at else None,
            seconds=RUN_SECONDS,
            what=f"{identifier} has ended",
        )


def post(instance: Instance, **overrides: Any) -> str:
    with instance.client() as client:
        return client.submit(tiny_document(**overrides)).id


def training_has_begun(instance: Instance, identifier: str) -> None:
    with instance.client() as client:
        until(
            lambda: client.metrics(identifier).items,
            seconds=RUN_SECONDS,
            what=f"{identifier} has trained",
        )


def storage(instance: Instance) -> Storage:
    return Storage.at(instance.data_dir / "storage")


def mlflow_client(instance: Instance) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=instance.endpoints.mlflow)


@pytest.fixture(scope="module")
def completed(instance: Instance) -> dict[str, ExperimentPublic]:
    """Three experiments side by side: baseline, region rebalance, and that on two workers."""
    identifiers = {
        "baseline": post(instance, tags={"paper": "table1"}),
        "rebalanced": post(instance, method=REBALANCED),
        "two": post(instance, **ON_TWO),
    }
    return {name: wait(instance, identifier) for name, identifier in identifiers.items()}


@pytest.mark.parametrize("name", ["baseline", "rebalanced", "two"])
def test_it_completes(instance: Instance, completed: dict[str, ExperimentPublic], name: str) -> None:
    """Queued, submitted, running, completed, each with an event; the report has the scores."""
    experiment = completed[name]
    assert experiment.state == "completed", experiment.error
    with instance.client() as client:
        states = [event.to_state for event in client.events(experiment.id)]
        report = client.report(experiment.id)
        log = client.logs(experiment.id).text
        records = client.metrics(experiment.id).items
    assert states[0] == "queued"
    assert states[-1] == "completed"
    assert report.result is not None
    scores = report.result.evaluation["single_scale"]
    assert scores.images == 50
    assert experiment.headline is not None
    assert experiment.headline.mIoU == scores.mIoU
    trained = [record["iteration"] for record in records if record["kind"] == "train"]
    assert trained == list(range(1, report.result.iterations + 1))
    assert "completed: mIoU" in log


def test_two_workers_count_each_picture_once(
    instance: Instance, completed: dict[str, ExperimentPublic]
) -> None:
    """One process evaluating the two workers' checkpoint finds the very same counts, of each picture."""
    from mmengine.dataset import pseudo_collate
    from mmengine.registry import DefaultScope
    from torch import load, no_grad

    from trainer.mmseg_adapter.data import PairedFolder
    from trainer.mmseg_adapter.model.config import revive
    from trainer.mmseg_adapter.scoring.metric import ConfusionMetric
    from trainer.plan import Plan
    from trainer.results.confusion_file import read_confusion
    from trainer.run.runner import build_model

    attempt = storage(instance).attempt(completed["two"].id, 1)
    plan = Plan.model_validate_json(attempt.plan.read_text())
    model = build_model(plan)
    final = storage(instance).checkpoints(completed["two"].id).local / "final.pth"
    model.load_state_dict(load(final, weights_only=True)["state_dict"], strict=True)
    model.eval()
    config = revive(plan.config["val_dataloader"]["dataset"])
    config.pop("type")
    metric = ConfusionMetric(num_classes=11, ignore_index=255)
    with DefaultScope.overwrite_default_scope("mmseg"), no_grad():
        data = PairedFolder(**config)
        for index in range(len(data)):
            samples = model.test_step(pseudo_collate([data[index]]))
            metric.process({}, [sample.to_dict() for sample in samples])
    alone = metric.evaluate(len(data))["counts"]
    kept = read_confusion(attempt.confusion).modes["single_scale"]
    with instance.client() as client:
        report = client.report(completed["two"].id)
    assert report.result is not None
    rows = report.result.evaluation["single_scale"].classes
    assert [row.tp for row in rows] == np.diagonal(alone.confusion).tolist()
    assert [row.tp + row.fn for row in rows] == alone.confusion.sum(axis=1).tolist()
    assert [row.tp + row.fp for row in rows] == alone.confusion.sum(axis=0).tolist()
    assert kept.names == alone.names
    for name in ("confusion", "tp", "fp", "fn"):
        assert np.array_equal(getattr(kept, name), getattr(alone, name)), name


def weights_of(instance: Instance, identifier: str) -> dict[str, Any]:
    """The tensors of its final.pth."""
    from torch import load

    file = storage(instance).checkpoints(identifier).local / "final.pth"
    weights: dict[str, Any] = load(file, weights_only=True)["state_dict"]
    return weights


def test_two_workers_rest_and_go_on(instance: Instance, completed: dict[str, ExperimentPublic]) -> None:
    """Paused and resumed: no step twice, one run in MLflow, the weights of the one that never rested."""
    identifier = post(instance, **ON_TWO)
    training_has_begun(instance, identifier)
    with instance.client() as client:
        client.pause(identifier)
        rested = until(
            lambda: one if (one := client.experiment(identifier)).state == "paused" else None,
            seconds=RUN_SECONDS,
            what=f"{identifier} rests",
        )
        client.resume(identifier)
    ended = wait(instance, identifier)
    assert (ended.state, ended.attempt) == ("completed", 2), ended.error
    assert rested.mlflow_run_id is not None
    assert ended.mlflow_run_id == rested.mlflow_run_id
    assert mlflow_client(instance).get_run(ended.mlflow_run_id).info.status == "FINISHED"
    records = [read_records(storage(instance).attempt(identifier, number).metrics) for number in (1, 2)]
    first, second = ([one["iteration"] for one in each if one["kind"] == "train"] for each in records)
    assert first
    assert [*first, *second] == list(range(1, 61))
    mine, never_rested = weights_of(instance, identifier), weights_of(instance, completed["two"].id)
    assert mine.keys() == never_rested.keys()
    assert not [name for name in mine if not mine[name].equal(never_rested[name])]


def test_mlflow_has_it_all(instance: Instance, completed: dict[str, ExperimentPublic]) -> None:
    """One finished run: parameters, tags, curves, scores, tables, config, checkpoint, report."""
    experiment = completed["baseline"]
    client = mlflow_client(instance)
    run = client.get_run(experiment.mlflow_run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["method.kind"] == "baseline"
    assert run.data.params["schedule.batch_size"] == "4"
    assert run.data.tags["tag.paper"] == "table1"
    assert run.data.tags["rebalance.experiment"] == experiment.id
    curve = client.get_metric_history(run.info.run_id, "train/loss")
    assert [point.step for point in curve] == [1, 2, 3, 4]
    assert experiment.headline is not None
    for name in ("mIoU", "mAcc", "aAcc", "head_mIoU", "body_mIoU", "tail_mIoU"):
        assert run.data.metrics.get(name) == getattr(experiment.headline, name)
    files = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"per_class_single_scale.json", "class_frequencies.json", "config.json", "report.json"} <= files
    assert "confusion.npz" in files
    assert [file.path for file in client.list_artifacts(run.info.run_id, "checkpoint")] == [
        "checkpoint/final.pth"
    ]
    table = client.download_artifacts(run.info.run_id, "per_class_single_scale.json")
    columns = json.loads(Path(table).read_text())["columns"]
    assert {"class", "IoU", "Acc", "TP", "FP", "FN", "pixel_frequency", "region_frequency"} <= set(columns)


def test_the_comparison(instance: Instance, completed: dict[str, ExperimentPublic]) -> None:
    """The first id is the reference; differences are points of mIoU against it."""
    with instance.client() as client:
        table = client.compare([completed["baseline"].id, completed["rebalanced"].id])
    first, second = table.rows
    assert first.delta_mIoU == 0
    assert first.mIoU is not None
    assert second.mIoU is not None
    assert second.delta_mIoU == pytest.approx(second.mIoU - first.mIoU)
    assert len(table.classes) == 11


def test_the_page_from_the_form_to_the_runs_own_pages(browser: Browser, instance: Instance) -> None:
    """A form is filled in, the training is watched to its scores without a reload, and its links lead to the
    very run in MLflow and the very job in Ray.
    """
    with watched(browser) as seen:
        page = seen.page
        page.goto(f"{instance.endpoints.api}/ui/submit")
        page.get_by_label("Name", exact=True).fill("from the page")
        for label, value in (("Data set", "digit_scenes"), ("Method", "baseline")):
            page.get_by_label(label, exact=True).select_option(value)
        page.get_by_label("Model").fill("small")
        page.get_by_label("Iterations").fill("20")
        page.get_by_text("More, as JSON").click()
        small = {"dataset": {"train_images": 50, "eval_images": 50}, "schedule": {"batch_size": 4}}
        page.get_by_label("Everything else, as JSON").fill(json.dumps(small))
        page.get_by_role("button", name="Submit", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("from the page")
        identifier = page.url.rpartition("/")[2]
        expect(page.get_by_role("status")).to_have_text("State: completed", timeout=RUN_SECONDS * 1000)
        expect(page.locator(".facts")).to_contain_text("mIoU")
        assert not seen.errors
        ray = str(page.get_by_role("link", name="Ray job").get_attribute("href"))
        assert ray == f"{instance.endpoints.ray}/#/jobs/{identifier}-1"
        page.reload()  # MLflow's answer is asked for again
        page.get_by_role("link", name="MLflow run").click()
        expect(page.get_by_text("from the page").first).to_be_visible(timeout=60_000)


def test_ray_job_submit_without_the_service(instance: Instance, tmp_path: Path) -> None:
    """The job runs by plain `ray job submit` on a cluster, with no service and no MLflow."""
    (tmp_path / "spec.json").write_text(json.dumps(tiny_document()))
    command = [
        sys.executable,
        "-m",
        "ray.scripts.scripts",
        "job",
        "submit",
        "--working-dir",
        str(tmp_path),
        "--",
    ]
    job = [sys.executable, "-m", "trainer.job", "--spec", "spec.json", "--experiment", "by-hand"]
    done = subprocess.run(
        [*command, *job, "--storage", str(tmp_path / "storage")],
        env=instance.ray_environment(),
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "completed: mIoU" in done.stdout
    assert Storage.at(tmp_path / "storage").attempt("by-hand", 1).report.exists()


def test_bad_labels_end_failed(instance: Instance, data_root: Path) -> None:
    """Label ids outside classes.txt are found at job start; the error has counts and the first offender."""
    for split in ("train", "val"):
        for kind in ("images", "annotations"):
            (data_root / "bad" / kind / split).mkdir(parents=True)
        for number in range(3):
            picture = np.zeros((32, 32, 3), dtype=np.uint8)
            mask = np.full((32, 32), 7 if number == 2 else number, dtype=np.uint8)
            Image.fromarray(picture).save(data_root / "bad" / "images" / split / f"p{number}.png")
            Image.fromarray(mask).save(data_root / "bad" / "annotations" / split / f"p{number}.png")
    (data_root / "bad" / "classes.txt").write_text("one\ntwo\n")
    dataset = {"name": "folder", "root": str(data_root / "bad")}
    schedule = {"iterations": 2, "batch_size": 2, "crop_size": [32, 32]}
    ended = wait(instance, post(instance, dataset=dataset, schedule=schedule))
    assert ended.state == "failed"
    assert ended.error is not None
    assert ended.error.type == "DataError"
    assert "p2" in ended.error.message
    assert "7" in ended.error.message
    assert "Traceback" not in ended.error.message
    assert ended.mlflow_run_id is not None
    assert mlflow_client(instance).get_run(ended.mlflow_run_id).info.status == "FAILED"


def test_cancel(instance: Instance) -> None:
    """A running experiment ends cancelled, its MLflow run is marked killed, and its processes are gone."""
    identifier = post(instance, schedule=LONG)
    training_has_begun(instance, identifier)
    with instance.client() as client:
        # The run is opened beside the training; cancelled sooner, there is none to mark.
        until(
            lambda: client.experiment(identifier).mlflow_run_id,
            seconds=RUN_SECONDS,
            what="its MLflow run is open",
        )
        client.cancel(identifier)
    ended = wait(instance, identifier)
    assert ended.state == "cancelled"
    assert ended.mlflow_run_id is not None
    mlflow = mlflow_client(instance)
    until(
        lambda: mlflow.get_run(ended.mlflow_run_id).info.status == "KILLED",
        seconds=60,
        what="MLflow says killed",
    )


def worker_of(identifier: str) -> psutil.Process | None:
    """The process that trains: it holds the attempt's metrics.jsonl open."""
    for process in psutil.process_iter():
        try:
            if any(
                identifier in file.path and file.path.endswith("metrics.jsonl")
                for file in process.open_files()
            ):
                return process
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return None


def test_a_killed_worker_is_tried_again(instance: Instance) -> None:
    """kill -9 of the training process costs an attempt, not the experiment: the next resumes."""
    identifier = post(instance, schedule={"iterations": 100, "batch_size": 4})
    with instance.client() as client:
        until(
            lambda: [one for one in client.metrics(identifier).items if one["iteration"] >= 30],
            seconds=RUN_SECONDS,
            what="30 iterations",
        )
    until(lambda: worker_of(identifier), seconds=10, what="the worker is found").kill()
    ended = wait(instance, identifier)
    assert ended.state == "completed", ended.error
    assert ended.attempt == 2
    with instance.client() as client:
        records = client.metrics(identifier).items
        reasons = [event.reason for event in client.events(identifier)]
    resumed = [record for record in records if record["kind"] == "event"]
    assert resumed[0]["message"].startswith("resumed from iteration ")
    assert resumed[0]["iteration"] >= 20
    assert any("WorkerLost" in reason for reason in reasons)


def test_the_service_is_killed_in_the_middle(instance: Instance) -> None:
    """kill -9 of the service during a run: Ray and MLflow go on, the next start records the outcome."""
    identifier = post(instance, schedule={"iterations": 60, "batch_size": 4})
    waiting = post(instance)
    training_has_begun(instance, identifier)
    before = instance.endpoints
    instance.kill()
    instance.start()
    assert (instance.endpoints.ray, instance.endpoints.mlflow) == (before.ray, before.mlflow)
    for one in (identifier, waiting):
        ended = wait(instance, one)
        assert ended.state == "completed", ended.error
        assert ended.attempt == 1


def test_parallel_posts_with_one_key(instance: Instance) -> None:
    """Eight POSTs at once with one Idempotency-Key make one experiment."""
    found: list[str] = []

    def send() -> None:
        with instance.client() as client:
            found.append(client.submit(tiny_document(), idempotency_key="one-key").id)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    with instance.client() as client:
        client.cancel(found[0])
    wait(instance, found[0])
