"""ExperimentSpec → Plan: everything a rank needs, as plain data, the same on every rank."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Callable
from typing import Any

from trainer.data import PreparedData, prepare
from trainer.frequency import Frequencies, frequencies_of
from trainer.layout import AttemptDir, Storage
from trainer.mmseg_adapter.config import render_config
from trainer.spec import ExperimentSpec, spec_hash
from trainer.strict_model import StrictModel

_MOST_PROGRESS_RECORDS = 200
_MOST_BETWEEN_CHECKPOINTS = 1000  # iterations
_PACKAGES = ("torch", "ray", "onedl-mmsegmentation", "onedl-mmengine", "onedl-mmcv", "numpy")


class Plan(StrictModel):
    """One attempt, ready to run. `config` is mmengine's, rendered; see `mmseg_adapter.config.revive`."""

    experiment: str
    attempt: int
    spec: ExperimentSpec
    spec_hash: str
    data: PreparedData
    frequencies: Frequencies
    config: dict[str, Any]
    storage: str
    threads: int
    log_interval: int
    checkpoint_interval: int
    mlflow_uri: str | None
    versions: dict[str, str]

    @property
    def layout(self) -> Storage:
        return Storage.at(self.storage)

    @property
    def attempt_dir(self) -> AttemptDir:
        return self.layout.attempt(self.experiment, self.attempt)


def make_plan(
    spec: ExperimentSpec,
    *,
    storage: Storage,
    experiment: str,
    attempt: int,
    mlflow_uri: str | None,
    say: Callable[[str], None],
) -> Plan:
    """Prepares the data, counts its class frequencies and renders the config.

    Raises:
        DataError: pictures or masks are not what the spec says.
    """
    data = prepare(spec.dataset, storage, say)
    frequencies = frequencies_of(data, storage, processes=len(os.sched_getaffinity(0)))
    # On a CPU loading and training share the cores: more processes only cost start-up time.
    loader_workers = spec.resources.cpus_per_worker - 1 if spec.resources.gpus_per_worker else 0
    work_dir = storage.attempt(experiment, attempt).path / "mmengine"
    iterations = spec.schedule.iterations
    return Plan(
        experiment=experiment,
        attempt=attempt,
        spec=spec,
        spec_hash=spec_hash(spec),
        data=data,
        frequencies=frequencies,
        config=render_config(spec, data, work_dir=str(work_dir), loader_workers=loader_workers),
        storage=str(storage.root),
        threads=spec.resources.cpus_per_worker,
        log_interval=max(1, iterations // _MOST_PROGRESS_RECORDS),
        checkpoint_interval=max(1, min(_MOST_BETWEEN_CHECKPOINTS, iterations // 10)),
        mlflow_uri=mlflow_uri,
        versions=installed_versions(),
    )


def installed_versions() -> dict[str, str]:
    """Versions a result depends on, by distribution name."""
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **versions}
