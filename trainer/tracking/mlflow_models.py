"""An exported model in MLflow: as one of its models, made by an experiment's run."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

_DIGEST = "rebalance.model"  # a tag: of what lies in the folder
_READY = "READY"


def send_model(client: Any, run: Any, folder: Path, name: str) -> None:
    """Makes the model `name` of the run, with all that lies in `folder`; nothing where it is there whole.

    One that was sent in part, by a process that died, is left as pending and made again.

    Args:
        client: an MlflowClient.
        run: as the client gives it.
        folder: as `mlflow.pyfunc.save_model` leaves it.
    """
    digest = hashlib.sha256((folder / "MLmodel").read_bytes()).hexdigest()  # it has an id of its own
    group, run_id = run.info.experiment_id, run.info.run_id
    wanted = f"source_run_id = '{run_id}' AND tags.`{_DIGEST}` = '{digest}'"
    there = client.search_logged_models([group], wanted)
    if any(str(model.status) == _READY and model.name == name for model in there):
        return
    model = client.create_logged_model(group, name=name, source_run_id=run_id, tags={_DIGEST: digest})
    client.log_model_artifacts(model.model_id, str(folder))
    client.finalize_logged_model(model.model_id, _READY)
