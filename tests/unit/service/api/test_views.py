"""What clients are shown of an experiment, beyond its columns."""

from __future__ import annotations

from pathlib import Path

from service.api.views.experiments import experiment_public
from service.api.views.sweeps import trial_public
from service.shared.settings import Settings
from sweeps.document.spec import parse_sweep
from tests.unit.service.conftest import START, new_row
from tests.unit.service.sweep_job import sweep_document


def test_the_mlflow_link_opens_the_page_for_training(tmp_path: Path) -> None:
    """MLflow's interface chooses between two sets of pages by a word in the address; no server, no link."""
    settings = Settings(data_dir=tmp_path, mlflow_uri="http://127.0.0.1:5000")
    row = new_row("e1", mlflow_run_id="m1")
    assert experiment_public(row, settings).links.mlflow is None
    settings.layout.mlflow_run("e1").write('{"run_id": "m1", "experiment_id": "7"}')
    page = "http://127.0.0.1:5000/#/experiments/7/runs/m1?workflowType=machine_learning"
    assert experiment_public(row, settings).links.mlflow == page
    told = settings.model_copy(update={"mlflow_public_url": "https://lab.example/mlflow"})
    assert experiment_public(row, told).links.mlflow == page.replace(
        "http://127.0.0.1:5000", "https://lab.example/mlflow"
    )
    file_store = Settings(data_dir=tmp_path, mlflow_uri="sqlite:///x.db")
    assert experiment_public(row, file_store).links.mlflow is None


def test_a_trial_that_is_to_be_cancelled(tmp_path: Path) -> None:
    """Its line in the sweep says since when, while its state still is what it was."""
    sweep, settings = parse_sweep(sweep_document()), Settings(data_dir=tmp_path)
    shown = trial_public(new_row("s-0000", cancel_requested_at=START), sweep, settings)
    assert (shown.state, shown.cancel_requested_at) == ("queued", START)
