"""Models in MLflow: one for each checkpoint that was scored, and those that were exported in its own form."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from trainer.tracking.content.trained import TrainedModel

_DIGEST = "rebalance.model"  # a tag: of what lies in the folder, or which of the run's checkpoints it is
_READY = "READY"


def find_or_make(client: Any, run: Any, model: TrainedModel) -> str:
    """The id of the run's model, made where it is not there; what lies in it is the run's own checkpoint.

    Args:
        client: an MlflowClient.
        run: as the client gives it; its outputs are looked at.
    """
    made = _named(client, run, model.key) if _has_models(run) else None
    if made is None:
        tags = {**model.tags, _DIGEST: model.key}
        made = client.create_logged_model(
            run.info.experiment_id,
            name=model.name,
            source_run_id=run.info.run_id,
            tags=tags,
            params=dict(model.params),
            model_type="semantic segmentation",
        )
        _put_out(client, run, made.model_id)
    if str(made.status) != _READY:
        client.finalize_logged_model(made.model_id, _READY)
    return str(made.model_id)


def send_model(client: Any, run: Any, folder: Path, name: str) -> None:
    """Makes the model `name` of the run, with all that lies in `folder`; nothing where it is there whole.

    One that was sent in part, by a process that died, is left as pending and made again.

    Args:
        client: an MlflowClient.
        run: as the client gives it.
        folder: as `mlflow.pyfunc.save_model` leaves it.
    """
    digest = hashlib.sha256((folder / "MLmodel").read_bytes()).hexdigest()  # it has an id of its own
    there = _named(client, run, digest)
    if there is not None and str(there.status) == _READY and there.name == name:
        return
    group, run_id = run.info.experiment_id, run.info.run_id
    model = client.create_logged_model(group, name=name, source_run_id=run_id, tags={_DIGEST: digest})
    client.log_model_artifacts(model.model_id, str(folder))
    client.finalize_logged_model(model.model_id, _READY)
    _put_out(client, run, model.model_id)


def _named(client: Any, run: Any, digest: str) -> Any:
    """The run's model of that tag, one that is ready if there is one; None where there is none."""
    wanted = f"source_run_id = '{run.info.run_id}' AND tags.`{_DIGEST}` = '{digest}'"
    there = client.search_logged_models([run.info.experiment_id], wanted)
    return min(there, key=lambda model: str(model.status) != _READY, default=None)


def _has_models(run: Any) -> bool:
    return bool(run.outputs is not None and run.outputs.model_outputs)


def _put_out(client: Any, run: Any, model_id: str) -> None:
    """Links the model on the run's page."""
    from mlflow.entities import LoggedModelOutput

    client.log_outputs(run.info.run_id, [LoggedModelOutput(model_id, step=0)])
