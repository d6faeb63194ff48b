"""The tracker port and its MLflow adapter: one MLflow run per experiment, over all its attempts."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from trainer.base.ends import RunStatus
from trainer.base.own_machine import without_proxy
from trainer.storage.layout import mlflow_ids
from trainer.storage.port import StoredFile
from trainer.storage.tracking import Trouble
from trainer.tracking.credentials import show_credentials
from trainer.tracking.mlflow_compat import LOGGED_ARTIFACTS, PARENT_RUN
from trainer.tracking.mlflow_models import send_model
from trainer.tracking.mlflow_words import words_of
from trainer.tracking.trouble import TrackerError, only_about_this, translated, trouble_of

_MOST_PARAM_CHARACTERS = 6000  # MLflow 3 refuses longer ones
_METRICS_PER_BATCH = 1000
_KEY = "rebalance.run_key"
_MOST_NAMES = 10
# MLflow's own defaults wait for many minutes, and as long as a server asks in a Retry-After.
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


@dataclass(frozen=True)
class RunInfo:
    """What a tracker needs to open a run: `run_id` names the run of earlier attempts, if there were any.

    `key` is a tag of this run alone. With `maybe_made`, somebody may have made the run and died before he
    could note its id: it is looked for by its key. `as_it_stands`: a run that has ended is not begun again.
    """

    group: str
    name: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    run_id: str | None = None
    key: str = ""
    maybe_made: bool = False
    as_it_stands: bool = False


class RunIds(NamedTuple):
    """A run and the group it lies in: both are in the address of its page."""

    run_id: str
    experiment_id: str


class Opened(NamedTuple):
    """A run, and what it took: `restored` from a bin, it or its group; `replaced`: it takes the place of an
    earlier one that is gone, and has nothing of what that one had.
    """

    ids: RunIds
    restored: bool = False
    replaced: bool = False


class Point(NamedTuple):
    """What was measured at one step. The same point sent again adds nothing."""

    step: int
    unix_seconds: float
    values: Mapping[str, float]


class Tracker(Protocol):
    """One open run. Every method may raise TrackerError."""

    def open(self, info: RunInfo) -> Opened:
        """Opens the run, or makes it. What was deleted, it or its group, is restored, else made anew."""

    def log_points(self, points: Sequence[Point]) -> None: ...

    def log_table(self, name: str, columns: Mapping[str, Sequence[Any]]) -> None: ...

    def log_file(self, path: Path, folder: str = "") -> None: ...

    def log_model(self, folder: Path, name: str) -> None:
        """A folder of `mlflow.pyfunc.save_model` as a model that the run made."""

    def close(self, status: RunStatus) -> None: ...


class MlflowTracker:
    """The port on MLflow's client; mlflow is imported when the first of these is made (about 2 s)."""

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
        self._run_id = self._group_id = ""
        self._restored = False
        with translated():
            mlflow.set_tracking_uri(uri)
            self._client = mlflow.MlflowClient(tracking_uri=uri)

    def open(self, info: RunInfo) -> Opened:
        """Creates the run, or opens the one of earlier attempts again."""
        with self._translated():
            run = self._found(info) or self._create(info)
            self._run_id = str(run.info.run_id)
            if run.info.status != "RUNNING" and not info.as_it_stands:
                self._client.update_run(self._run_id, status="RUNNING")
            entities = self._mlflow.entities
            params = [  # a sweep may go on with other limits: MLflow refuses to change what it has
                entities.Param(key, value[:_MOST_PARAM_CHARACTERS])
                for key, value in info.params.items()
                if key not in run.data.params
            ]
            there = run.data.tags  # what a person has written since stays
            tags = [
                entities.RunTag(key, value)
                for key, value in info.tags.items()
                # the parent's run may have been made anew itself
                if key not in there or (key == PARENT_RUN and there[key] != value)
            ]
            self._client.log_batch(self._run_id, params=params, tags=tags)
            ids = RunIds(self._run_id, str(run.info.experiment_id))
            return Opened(ids, self._restored, replaced=info.run_id not in (None, ids.run_id))

    def _translated(self) -> translated:
        return translated(lambda: words_of(self._uri, run_id=self._run_id, experiment_id=self._group_id))

    def _create(self, info: RunInfo) -> Any:
        self._group_id = self._group(info.group)
        return self._client.create_run(self._group_id, run_name=info.name, tags={**info.tags, _KEY: info.key})

    def _found(self, info: RunInfo) -> Any:
        """The run by its id or key, out of the bin if it lay there; None where there is none to be had."""
        run = self._by_id(info.run_id) if info.run_id else None
        if run is None and info.maybe_made and info.run_id is None:
            run = self._by_key(self._group(info.group), info.key)
        if run is None:
            return None
        try:
            self._restore_group(str(run.info.experiment_id))
            if run.info.lifecycle_stage == "deleted":
                self._client.restore_run(run.info.run_id)
                self._restored = True
        except self._mlflow.MlflowException as error:
            if not only_about_this(error):
                raise
            return None
        return run

    def _by_id(self, run_id: str) -> Any:
        try:
            return self._client.get_run(run_id)
        except self._mlflow.MlflowException as error:
            if trouble_of(error).kind is not Trouble.DELETED:
                raise
            return None  # emptied from the bin, or another server than then

    def _by_key(self, experiment_id: str, key: str) -> Any:
        found = self._client.search_runs(
            [experiment_id],
            f"tags.`{_KEY}` = '{key}'",
            run_view_type=self._mlflow.entities.ViewType.ALL,
            max_results=1,
        )
        return found[0] if found else None

    def _restore_group(self, experiment_id: str) -> None:
        """Restores the experiment in MLflow's sense, with all its runs, as MLflow does it."""
        if self._client.get_experiment(experiment_id).lifecycle_stage == "deleted":
            self._client.restore_experiment(experiment_id)
            self._restored = True

    def _group(self, name: str) -> str:
        """The id of MLflow's experiment; where a deleted one may not be restored, of "name (2)"."""
        for number in range(1, _MOST_NAMES):
            found = self._made_group(name if number == 1 else f"{name} ({number})")
            try:
                self._restore_group(found)
            except self._mlflow.MlflowException as error:
                if not only_about_this(error):
                    raise
                continue
            return found
        raise TrackerError(f"{name} and all names like it are deleted", Trouble.DELETED)

    def _made_group(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(name))
        except self._mlflow.MlflowException:  # another job was faster
            found = self._client.get_experiment_by_name(name)
            if found is None:
                raise
            return str(found.experiment_id)

    def log_points(self, points: Sequence[Point]) -> None:
        """Sends curves, a thousand numbers at a time."""
        with self._translated():
            metrics = [
                self._mlflow.entities.Metric(key, float(value), int(point.unix_seconds * 1000), point.step)
                for point in points
                for key, value in point.values.items()
            ]
            for start in range(0, len(metrics), _METRICS_PER_BATCH):
                self._client.log_batch(self._run_id, metrics=metrics[start : start + _METRICS_PER_BATCH])

    def log_table(self, name: str, columns: Mapping[str, Sequence[Any]]) -> None:
        """A table MLflow's UI shows and compares: artifact `name`.json, replaced where it is there already.

        MLflow's own log_table would add the rows a second time.
        """
        rows = [list(row) for row in zip(*columns.values(), strict=True)]
        with self._translated():
            file = f"{name}.json"
            text = json.dumps({"columns": list(columns), "data": rows})
            self._client.log_text(self._run_id, text, file)
            told = json.loads(self._client.get_run(self._run_id).data.tags.get(LOGGED_ARTIFACTS, "[]"))
            table = {"path": file, "type": "table"}
            if table not in told:
                self._client.set_tag(self._run_id, LOGGED_ARTIFACTS, json.dumps([*told, table]))

    def log_file(self, path: Path, folder: str = "") -> None:
        with self._translated():
            self._client.log_artifact(self._run_id, str(path), folder or None)

    def log_model(self, folder: Path, name: str) -> None:
        with self._translated():
            send_model(self._client, self._client.get_run(self._run_id), folder, name)

    def close(self, status: RunStatus) -> None:
        with self._translated():
            self._client.set_terminated(self._run_id, status)


def open_noted(tracker: Tracker, note: StoredFile, info: RunInfo) -> Opened:
    """Opens the run that the mlflow.json `note` names, or makes the one that it will name from then on.

    The run's key is noted before the run is made, so that a process that dies between the two leaves no
    second run behind.

    Raises:
        TrackerError: from the tracker.
    """
    known = mlflow_ids(note)
    key = known.get("key") or secrets.token_hex(8)
    if not known:
        note.write(json.dumps({"key": key}) + "\n")
    run_id = known.get("run_id")
    opened = tracker.open(replace(info, run_id=run_id, key=key, maybe_made=bool(known)))
    if opened.ids != (run_id, known.get("experiment_id")):
        note.write(json.dumps({**opened.ids._asdict(), "key": key}) + "\n")
    return opened
