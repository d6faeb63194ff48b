"""Sweeps over HTTP: POST a grid, and its table comes out; kills, restarts and cancels in the middle."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.shared.sweep_schemas import SweepPublic
from sweeps.results.table import Table
from tests.e2e.instance import RUN_SECONDS, Instance, until
from tests.factories import tiny_document
from trainer.storage.layout import Storage

pytestmark = pytest.mark.e2e

LONG = {"iterations": 1500, "batch_size": 4}  # a minute or more: still running when a test acts


def sweep_document(**changes: Any) -> dict[str, Any]:
    """λ 0 and 0.3, two seeds, on fifty scenes."""
    base = tiny_document(method={"kind": "region_rebalance"})
    axes = [{"pointer": "/method/lambda", "grid": [0, 0.3]}]
    return {"name": "lambda", "base": base, "axes": axes, "seeds": [0, 1], **changes}


def long_document(**changes: Any) -> dict[str, Any]:
    """The same, each trial taking long, one at a time."""
    base = tiny_document(method={"kind": "region_rebalance"}, schedule=LONG)
    return sweep_document(base=base, limits={"concurrent_trials": 1}, **changes)


def wait(instance: Instance, identifier: str, *, seconds: float = RUN_SECONDS) -> SweepPublic:
    with instance.client() as client:
        return until(
            lambda: one if (one := client.sweep(identifier)).ended_at else None,
            seconds=seconds,
            what=f"{identifier} has ended",
        )


def first_trains(instance: Instance, identifier: str) -> str:
    """The experiment of a trial that has logged an iteration."""
    with instance.client() as client:

        def training() -> str | None:
            running = client.sweep(identifier, trials=0).running
            return next((each.experiment for each in running if each.progress is not None), None)

        return until(training, seconds=RUN_SECONDS, what=f"a trial of {identifier} trains")


VARIANTS = {"region rebalance": {"kind": "region_rebalance"}, "baseline": {"kind": "baseline"}}


@pytest.fixture(scope="module")
def completed(instance: Instance) -> SweepPublic:
    with instance.client() as client:
        identifier = client.submit_sweep(sweep_document(variants=VARIANTS, axes=[])).id
    return wait(instance, identifier)


def test_a_grid_to_its_table(instance: Instance, completed: SweepPublic) -> None:
    """Every number of the table is the one that /comparisons shows for the same trials."""
    assert completed.state == "completed", completed.error
    assert completed.counts.completed == completed.counts.total == 4
    with instance.client() as client:
        table = client.sweep_table(completed.id)
        trials = completed.trials or ()
        compared = client.compare([trial.experiment for trial in trials])
        rows = {row.row: row for row in table.blocks[0].rows}
        assert list(rows) == list(VARIANTS)
        for trial, one in zip(trials, compared.rows, strict=True):
            assert VARIANTS[trial.row]["kind"] == client.report(trial.experiment).spec.method.kind
            cells, place = rows[trial.row].scores, rows[trial.row].seeds.index(trial.seed)
            for column in ("mIoU", "mAcc", "aAcc", "head_mIoU", "body_mIoU", "tail_mIoU"):
                assert cells[column].values[place] == getattr(one, column)
            assert trial.value == one.mIoU
        assert "| region rebalance |" in client.sweep_table_text(completed.id, "markdown")


def test_job_and_service_agree_on_the_table(instance: Instance, completed: SweepPublic) -> None:
    """What the job left in storage is what the route answers."""
    left = Storage.at(instance.data_dir / "storage").sweep(completed.id).table.local
    with instance.client() as client:
        assert Table.model_validate_json(left.read_text()) == client.sweep_table(completed.id)


def test_each_trial_is_an_ordinary_experiment(instance: Instance, completed: SweepPublic) -> None:
    """Found by its sweep, with report, curves and log, and its run under the sweep's in MLflow."""
    from mlflow import MlflowClient

    with instance.client() as client:
        trials = list(client.experiments(sweep=[completed.id]))
        assert len(trials) == 4
        for trial in trials:
            assert client.report(trial.id).result is not None
            assert client.metrics(trial.id).items
            assert trial.mlflow_run_id is not None
    mlflow = MlflowClient(tracking_uri=instance.endpoints.mlflow)
    assert completed.mlflow_run_id is not None
    assert mlflow.get_run(completed.mlflow_run_id).info.status == "FINISHED"
    for trial in trials:
        tags = mlflow.get_run(str(trial.mlflow_run_id)).data.tags
        assert tags["mlflow.parentRunId"] == completed.mlflow_run_id
        assert tags["rebalance.sweep"] == completed.id


def test_the_service_is_killed_in_the_middle(instance: Instance) -> None:
    """SIGKILL and a new start: the sweep went on, nothing was run twice, and all rows are told the truth."""
    base = tiny_document(method={"kind": "region_rebalance"}, schedule={"iterations": 60, "batch_size": 4})
    with instance.client() as client:
        identifier = client.submit_sweep(sweep_document(base=base)).id
    first_trains(instance, identifier)
    instance.kill()
    instance.start()
    sweep = wait(instance, identifier)
    assert sweep.state == "completed", sweep.error
    assert sweep.counts.completed == 4
    assert sweep.attempt == 1
    with instance.client() as client:
        assert [trial.attempt for trial in client.experiments(sweep=[identifier])] == [1] * 4


def test_cancelling_a_trial_and_then_its_sweep(instance: Instance) -> None:
    """The trial ends by its stop file, its sweep goes on; then the sweep is cancelled, and nothing trains."""
    with instance.client() as client:
        identifier = client.submit_sweep(long_document()).id
        first = first_trains(instance, identifier)
        client.cancel(first)
        until(lambda: client.experiment(first).state.ended, seconds=RUN_SECONDS, what="the trial has ended")
        assert client.experiment(first).state == "cancelled"
        second = until(
            lambda: next((t.experiment for t in client.sweep(identifier).running), None),
            seconds=RUN_SECONDS,
            what="the next trial runs",
        )
        assert second != first
        client.cancel_sweep(identifier)
        sweep = wait(instance, identifier)
        assert sweep.state == "cancelled"
        states = [trial.state for trial in sweep.trials or ()]
        assert states == ["cancelled"] * 4
        events = [event.reason for event in client.events(f"{identifier}-0003")]
        assert events[-1] == "its sweep ended before it started"


def test_a_trial_retried_by_itself(instance: Instance) -> None:
    """Cancelled while it waited, then detached into a job of its own: its result completes the table."""
    base = tiny_document(method={"kind": "region_rebalance"}, schedule={"iterations": 60, "batch_size": 4})
    with instance.client() as client:
        document = sweep_document(base=base, seeds=[0], limits={"concurrent_trials": 1})
        identifier = client.submit_sweep(document).id
        trial = f"{identifier}-0001"
        client.cancel(trial)
        sweep = wait(instance, identifier)
        assert (sweep.state, sweep.counts.completed, sweep.counts.cancelled) == ("completed", 1, 1)
        assert [row.unfinished for row in client.sweep_table(identifier).blocks[0].rows] == [0, 1]
        again = client.retry(trial)
        assert again.sweep is not None
        assert again.sweep.detached
        ended = client.wait(trial)
        assert ended.state == "completed", ended.error
        assert ended.attempt == again.attempt > 1
        assert [row.unfinished for row in client.sweep_table(identifier).blocks[0].rows] == [0, 0]


def test_pause_and_resume(instance: Instance) -> None:
    """While it is paused no trial begins, and those that ran finish; resumed, it ends whole."""
    base = tiny_document(method={"kind": "region_rebalance"}, schedule={"iterations": 40, "batch_size": 4})
    with instance.client() as client:
        document = sweep_document(base=base, limits={"concurrent_trials": 1})
        identifier = client.submit_sweep(document).id
        first = first_trains(instance, identifier)
        assert client.pause_sweep(identifier).paused
        until(lambda: not client.sweep(identifier).running, seconds=RUN_SECONDS, what="what ran is done")
        held = client.sweep(identifier)
        assert held.state == "running"
        assert client.experiment(first).state == "completed"
        assert held.counts.completed + held.counts.waiting == 4
        assert held.counts.waiting > 0
        assert not client.resume_sweep(identifier).paused
    assert wait(instance, identifier).counts.completed == 4


def test_what_would_run(instance: Instance) -> None:
    """The estimate knows what trials like these have taken here."""
    with instance.client() as client:
        preview = client.preview_sweep(json.dumps(sweep_document()))
    assert preview.cost.trials == 4
    assert preview.cost.train_seconds is not None
