"""MLflow's own monitor, as a training on GPUs uses it, on a real SQLite store."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.factories import tiny_plan
from trainer.storage.layout import mlflow_ids
from trainer.tracking.gpu_metrics import GpuMetrics, Monitor, start_monitor
from trainer.tracking.live import AttemptSource

SECONDS = 60.0  # at most, until a number has arrived


@pytest.mark.parametrize("gpus", [0, 1])
def test_measured_where_gpus_train(tmp_path: Path, gpus: int) -> None:
    """The run has this machine's numbers while it is open, and none without GPUs."""
    import mlflow

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    plan = tiny_plan(tmp_path, resources={"gpus_per_worker": gpus}).model_copy(update={"mlflow_uri": uri})
    began: list[str] = []

    def start(uri: str, run_id: str) -> Monitor:
        began.append(run_id)
        return start_monitor(uri, run_id, seconds=0.1, samples=1)

    metrics = GpuMetrics(start)
    AttemptSource(plan, metrics).open()
    run_id = mlflow_ids(plan.layout.mlflow_run(plan.experiment))["run_id"]
    assert began == [run_id] * gpus
    client, limit = mlflow.MlflowClient(tracking_uri=uri), time.monotonic() + SECONDS
    seen: list[str] = []
    while gpus and not seen and time.monotonic() < limit:
        seen = [name for name in client.get_run(run_id).data.metrics if name.startswith("system/")]
    metrics.end()
    assert bool(seen) == bool(gpus)
