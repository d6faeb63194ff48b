"""The tracker port on MLflow's client."""

from __future__ import annotations

import json
import logging
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from trainer.base.ends import RunStatus
from trainer.base.files import write_atomically
from trainer.base.own_machine import without_proxy
from trainer.tracking.content.datasets import TrackedDataset
from trainer.tracking.content.overlays import Drawn
from trainer.tracking.content.trained import Scored, TrainedModel
from trainer.tracking.content.views import View
from trainer.tracking.credentials import show_credentials
from trainer.tracking.mlflow_compat import (
    CONTEXT,
    IMAGE_NAME,
    IMAGES,
    LOGGED_ARTIFACTS,
    LOGGED_IMAGES,
    NOTE,
    PARENT_RUN,
    SMALL_IMAGE,
)
from trainer.tracking.server.models import find_or_make, send_model
from trainer.tracking.server.opening import RunOpener
from trainer.tracking.server.views_compat import address_of, tag_of
from trainer.tracking.server.words import words_of
from trainer.tracking.tracker import Columns, Opened, Point, RunIds, RunInfo
from trainer.tracking.trouble import only_about_this, translated

log = logging.getLogger(__name__)
_MOST_PARAM_CHARACTERS = 6000  # MLflow 3 refuses longer ones
_METRICS_PER_BATCH = 1000
# MLflow's own defaults wait for many minutes, and as long as a server asks in a Retry-After.
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


class MlflowTracker:
    """See `trainer.tracking.tracker.Tracker`. mlflow is imported when the first is made (about 2 s)."""

    def __init__(self, uri: str) -> None:
        """Raises TrackerError: its credentials cannot be used."""
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        os.environ.update(without_proxy(os.environ, [uri]))  # a server on this machine is reached straight
        with translated():
            show_credentials(os.environ)
        import mlflow

        self._mlflow = mlflow
        self._uri = uri
        self._run: Any = None
        self._run_id = ""
        with translated():
            mlflow.set_tracking_uri(uri)
            self._client = mlflow.MlflowClient(tracking_uri=uri)
        self._opener = RunOpener(self._client, self._dress)

    def open(self, info: RunInfo) -> Opened:
        with self._translated():
            self._run = run = self._opener.found(info) or self._opener.create(info)
            self._run_id = str(run.info.run_id)
            if run.info.status != "RUNNING" and not info.as_it_stands:
                self._client.update_run(self._run_id, status="RUNNING")
            self._complete(run, info)
            ids = RunIds(self._run_id, str(run.info.experiment_id))
            return Opened(ids, self._opener.restored, replaced=info.run_id not in (None, ids.run_id))

    def _complete(self, run: Any, info: RunInfo) -> None:
        """Adds parameters and tags that the run lacks."""
        entities = self._mlflow.entities
        params = [  # a sweep may go on with other limits: MLflow refuses to change what it has
            entities.Param(key, value[:_MOST_PARAM_CHARACTERS])
            for key, value in info.params.items()
            if key not in run.data.params
        ]
        there = run.data.tags  # what a person has written since stays
        tags = {
            key: value
            for key, value in info.tags.items()
            # the parent's run may have been made anew itself
            if key not in there or (key == PARENT_RUN and there[key] != value)
        }
        if params or tags:
            made = [entities.RunTag(key, value) for key, value in tags.items()]
            self._client.log_batch(self._run_id, params=params, tags=made)
            there.update(tags)

    def _translated(self) -> translated:
        return translated(
            lambda: words_of(self._uri, run_id=self._run_id, experiment_id=self._opener.group_id)
        )

    def log_points(self, points: Sequence[Point], run_id: str | None = None) -> None:
        with self._translated():
            self._log_metrics((self._metric(point, key) for point in points for key in point.values), run_id)

    def _log_metrics(self, metrics: Iterable[Any], run_id: str | None = None) -> None:
        """A thousand numbers at a time."""
        found = list(metrics)
        for start in range(0, len(found), _METRICS_PER_BATCH):
            self._client.log_batch(run_id or self._run_id, metrics=found[start : start + _METRICS_PER_BATCH])

    def _metric(self, point: Point | Scored, key: str, **of: str) -> Any:
        milliseconds = int(point.unix_seconds * 1000)
        return self._mlflow.entities.Metric(key, float(point.values[key]), milliseconds, point.step, **of)

    def log_tables(self, tables: Mapping[str, Columns]) -> None:
        """MLflow's own log_table would add the rows a second time."""
        with self._translated():
            for name, columns in tables.items():
                rows = [list(row) for row in zip(*columns.values(), strict=True)]
                text = json.dumps({"columns": list(columns), "data": rows})
                self._client.log_text(self._run_id, text, f"{name}.json")
            told = json.loads(self._run.data.tags.get(LOGGED_ARTIFACTS, "[]"))
            wanted = [{"path": f"{name}.json", "type": "table"} for name in tables]
            self._tag(LOGGED_ARTIFACTS, json.dumps([*told, *(each for each in wanted if each not in told)]))

    def _tag(self, key: str, value: str) -> None:
        """Tags the run, unless it is tagged so."""
        if self._run.data.tags.get(key) != value:
            self._client.set_tag(self._run_id, key, value)
            self._run.data.tags[key] = value

    def log_file(self, path: Path, folder: str = "") -> None:
        with self._translated():
            self._client.log_artifact(self._run_id, str(path), folder or None)

    def log_images(self, images: Sequence[Drawn], *, step: int, unix_seconds: float) -> None:
        if not images:
            return
        with self._translated(), TemporaryDirectory() as scratch:
            for each in images:
                name = IMAGE_NAME.format(
                    key=each.key.replace("/", "~"),
                    step=step,
                    milliseconds=int(unix_seconds * 1000),
                    id=uuid.uuid5(uuid.NAMESPACE_URL, f"{self._run_id}/{each.key}/{step}"),
                )
                write_atomically(Path(scratch, f"{name}.png"), each.png)
                write_atomically(Path(scratch, f"{name}{SMALL_IMAGE}.webp"), each.small)
            self._client.log_artifacts(self._run_id, scratch, IMAGES)
            self._tag(LOGGED_IMAGES, "True")

    def log_trained(
        self, model: TrainedModel, scored: Sequence[Scored], datasets: Sequence[TrackedDataset] = ()
    ) -> None:
        with self._translated():
            used = {(each.name, each.digest): each for each in (*datasets, *(one.dataset for one in scored))}
            of: dict[str, str] = {}
            with self._unless_refused("data sets and models are not linked"):
                self._client.log_inputs(self._run_id, [self._input(each) for each in used.values()])
                of = {"model_id": find_or_make(self._client, self._run, model)}
            self._log_metrics(
                self._metric(one, key, **of, dataset_name=one.dataset.name, dataset_digest=one.dataset.digest)
                for one in scored
                for key in one.values
            )

    def _input(self, dataset: TrackedDataset) -> Any:
        entities = self._mlflow.entities
        made = entities.Dataset(
            name=dataset.name,
            digest=dataset.digest,
            source_type="local",
            source=dataset.source,
            schema=dataset.schema,
            profile=dataset.profile,
        )
        return entities.DatasetInput(made, [entities.InputTag(CONTEXT, dataset.context)])

    def log_model(self, folder: Path, name: str) -> None:
        with self._translated():
            send_model(self._client, self._client.get_run(self._run_id), folder, name)

    def show_view(self, view: View) -> None:
        with self._translated(), self._unless_refused("no charts are set in advance"):
            group = self._run.info.experiment_id
            self._client.set_experiment_tag(group, *tag_of(view))
            note = self._run.data.tags.get(NOTE, "")
            link = f"[{view.title}]({address_of(view, group)})"
            if link not in note:
                self._tag(NOTE, f"{note}\n\n{link}".strip())

    def _dress(self, experiment_id: str) -> None:
        """Gives a new experiment charts of all its runs."""
        view = View(key="rebalance", title="All runs compared")
        with self._unless_refused("no charts are set in advance"):
            self._client.set_experiment_tag(experiment_id, *tag_of(view))
            note = f"[{view.title}]({address_of(view, experiment_id)})"
            self._client.set_experiment_tag(experiment_id, NOTE, note)

    @contextmanager
    def _unless_refused(self, what: str) -> Iterator[None]:
        """What a server of an older release does not know, or refuses, is no reason to keep the rest back."""
        try:
            yield
        except self._mlflow.MlflowException as error:
            if not (error.error_code == "ENDPOINT_NOT_FOUND" or only_about_this(error)):
                raise
            log.warning("%s: %s", what, error)

    def close(self, status: RunStatus) -> None:
        with self._translated():
            self._client.set_terminated(self._run_id, status)
