"""The tracker port and its MLflow adapter: one MLflow run per experiment, over all its attempts."""

from __future__ import annotations

import json
import logging
import os
import queue
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from trainer.base.ends import RunStatus
from trainer.storage.layout import mlflow_ids
from trainer.storage.port import StoredFile

log = logging.getLogger(__name__)

_MOST_PARAM_CHARACTERS = 6000  # MLflow 3 refuses longer ones
_METRICS_PER_BATCH = 1000
_KEY = "rebalance.run_key"
_CLOSE_SECONDS = 60.0


class TrackerError(Exception):
    """The tracking server did not take what was sent."""


@dataclass(frozen=True)
class RunInfo:
    """What a tracker needs to open a run: `run_id` names the run of earlier attempts, if there were any.

    `key` is a tag of this run alone. With `maybe_made`, somebody may have made the run and died before he
    could note its id: it is looked for by its key.
    """

    group: str
    name: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    run_id: str | None = None
    key: str = ""
    maybe_made: bool = False


class RunIds(NamedTuple):
    """A run and the group it lies in: both are in the address of its page."""

    run_id: str
    experiment_id: str


class Tracker(Protocol):
    """One open run. Every method may raise TrackerError."""

    def open(self, info: RunInfo) -> RunIds: ...

    def log_metrics(self, step: int, unix_seconds: float, values: Mapping[str, float]) -> None: ...

    def log_table(self, name: str, columns: Mapping[str, Sequence[Any]]) -> None: ...

    def log_file(self, path: Path, folder: str = "") -> None: ...

    def close(self, status: RunStatus) -> None: ...


class MlflowTracker:
    """The port on MLflow's client; mlflow is imported when the first of these is made (about 2 s)."""

    def __init__(self, uri: str) -> None:
        # MLflow's own default waits for minutes: training must not hang on its notebook.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        import mlflow

        mlflow.set_tracking_uri(uri)
        self._mlflow = mlflow
        self._client = mlflow.MlflowClient(tracking_uri=uri)
        self._run_id = ""

    def open(self, info: RunInfo) -> RunIds:
        """Creates the run, or opens the one of earlier attempts again."""
        with _translated():
            if info.run_id:
                self._run_id = info.run_id
                self._client.update_run(info.run_id, status="RUNNING")
                return RunIds(info.run_id, str(self._client.get_run(info.run_id).info.experiment_id))
            experiment_id = self._experiment(info.group)
            run = self._made(experiment_id, info.key) if info.maybe_made else None
            if run is None:
                tags = {**info.tags, _KEY: info.key}
                run = self._client.create_run(experiment_id, run_name=info.name, tags=tags)
            self._run_id = str(run.info.run_id)
            params = [
                self._mlflow.entities.Param(key, value[:_MOST_PARAM_CHARACTERS])
                for key, value in info.params.items()
            ]
            self._client.log_batch(self._run_id, params=params)
        return RunIds(self._run_id, experiment_id)

    def _made(self, experiment_id: str, key: str) -> Any:
        found = self._client.search_runs([experiment_id], f"tags.`{_KEY}` = '{key}'", max_results=1)
        return found[0] if found else None

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(name))
        except self._mlflow.MlflowException:  # another job was faster
            return str(self._client.get_experiment_by_name(name).experiment_id)

    def log_metrics(self, step: int, unix_seconds: float, values: Mapping[str, float]) -> None:
        milliseconds = int(unix_seconds * 1000)
        metrics = [
            self._mlflow.entities.Metric(key, float(value), milliseconds, step)
            for key, value in values.items()
        ]
        with _translated():
            for start in range(0, len(metrics), _METRICS_PER_BATCH):
                self._client.log_batch(self._run_id, metrics=metrics[start : start + _METRICS_PER_BATCH])

    def log_table(self, name: str, columns: Mapping[str, Sequence[Any]]) -> None:
        """A table MLflow's UI shows and compares: artifact `name`.json."""
        with _translated():
            data = {key: list(values) for key, values in columns.items()}
            self._client.log_table(self._run_id, data=data, artifact_file=f"{name}.json")

    def log_file(self, path: Path, folder: str = "") -> None:
        with _translated():
            self._client.log_artifact(self._run_id, str(path), folder or None)

    def close(self, status: RunStatus) -> None:
        with _translated():
            self._client.set_terminated(self._run_id, status)


class _translated:
    """Turns what MLflow and its HTTP library raise into TrackerError."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        del trace
        if kind is None or error is None:
            return
        from mlflow.exceptions import MlflowException

        if isinstance(error, (MlflowException, OSError)):  # requests' errors are OSErrors
            raise TrackerError(f"{kind.__name__}: {str(error)[:300]}") from error


def open_noted(tracker: Tracker, note: StoredFile, info: RunInfo) -> RunIds:
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
    ids = tracker.open(replace(info, run_id=run_id, key=key, maybe_made=bool(known)))
    if ids.run_id != run_id:
        note.write(json.dumps({**ids._asdict(), "key": key}) + "\n")
    return ids


class BackgroundTracker:
    """Feeds a tracker from a thread of its own: a slow or dead server never holds up training.

    `make` runs in that thread too, at the first record. After the first failure the rest is left
    alone and `lost` is true: metrics.jsonl has it all, and is replayed at the end.
    """

    def __init__(self, make: Callable[[], Tracker]) -> None:
        self._make = make
        self._queue: queue.SimpleQueue[tuple[int, float, dict[str, float]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="tracker", daemon=True)
        self._started = False
        self.lost = False

    def log_metrics(self, step: int, unix_seconds: float, values: Mapping[str, float]) -> None:
        self._queue.put((step, unix_seconds, dict(values)))
        if not self._started:
            self._started = True
            self._thread.start()

    def flush(self) -> None:
        """Waits until all is delivered, a minute at most."""
        if self._started:
            self._queue.put(None)
            self._thread.join(_CLOSE_SECONDS)
            self.lost = self.lost or self._thread.is_alive()

    def _run(self) -> None:
        tracker: Tracker | None = None
        while (item := self._queue.get()) is not None:
            if self.lost:
                continue
            try:
                tracker = tracker or self._make()
                tracker.log_metrics(*item)
            except TrackerError as error:
                self.lost = True
                log.warning("MLflow is not reached, metrics.jsonl goes on: %s", error)
