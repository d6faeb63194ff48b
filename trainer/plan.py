"""ExperimentSpec → Plan: everything a rank needs, as plain data, the same on every rank."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field

from trainer.base.errors import DataError
from trainer.base.strict_model import StrictModel
from trainer.data.frequency import Counted, Frequencies, count_splits, frequencies_in
from trainer.data.frequency_tables import find_table
from trainer.data.labels.facts import LabelFacts
from trainer.data.labels.notices import label_notices
from trainer.data.notices import data_notices, override_notices
from trainer.data.pictures import Pictures, check_pictures
from trainer.data.prepare import PreparedData, prepare
from trainer.data.splits import list_pairs
from trainer.mmseg_adapter.config import render_config
from trainer.mmseg_adapter.decode import decode_strictly
from trainer.same.code import code_digest
from trainer.same.data import data_digest
from trainer.spec.data.datasets import DigitScenes
from trainer.spec.models import entry_of
from trainer.spec.spec import ExperimentSpec, spec_hash
from trainer.storage.layout import Storage
from trainer.storage.notices import Notice
from trainer.storage.weights import StoredWeights
from trainer.task import Task
from trainer.weights.choice import find_weights

_MOST_PROGRESS_RECORDS = 200
_MOST_BETWEEN_CHECKPOINTS = 1000  # iterations
_PACKAGES = ("torch", "ray", "onedl-mmsegmentation", "onedl-mmengine", "onedl-mmcv", "numpy")


class PlannedWeights(StrictModel):
    """Pretrained weights, where every worker finds them."""

    name: str
    path: str
    layout: str
    sha256: str


class Plan(Task):
    """A task, ready to run. `config` is mmengine's, rendered; see `mmseg_adapter.config.revive`."""

    spec_hash: str
    data: PreparedData
    weights: PlannedWeights | None = None  # what the backbone begins with
    frequencies: Frequencies
    config: dict[str, Any]
    threads: int
    log_interval: int
    checkpoint_interval: int
    versions: dict[str, str]
    code: str = ""  # which version of this package makes it; see `trainer.same`
    data_digest: str | None = None  # of what it reads; None where that cannot be told
    notices: tuple[Notice, ...] = Field(default=(), strict=False)  # what was noticed of the data


def make_plan(task: Task, say: Callable[[str], None]) -> Plan:
    """Prepares the data, counts their labels, and renders the config.

    Raises:
        DataError: pictures or masks are not what the spec says.
        WeightsError: pretrained weights have gone since the spec was posted, or have changed.
    """
    spec, storage = task.spec, task.layout
    data = prepare(spec.dataset, storage, say, named=task.data_roots)
    (train, scored), pictures = look_at(data, storage, say)
    facts = LabelFacts(spec.dataset.name, data.classes, train, scored, data.label_map)
    # On a CPU loading and training share the cores: more processes only cost start-up time.
    loader_workers = spec.resources.cpus_per_worker - 1 if spec.resources.gpus_per_worker else 0
    work_dir = task.attempt_dir.path / "mmengine"
    iterations = spec.schedule.iterations
    # One that goes on begins with the weights of a checkpoint, whatever that training began with.
    begun = "none" if spec.continues is not None else spec.weights
    weights = find_weights(begun, entry_of(spec.model).pretrained, storage)
    return Plan(
        **dict(task),
        spec_hash=spec_hash(spec),
        data=data,
        weights=None if weights is None else _planned(weights),
        frequencies=_frequencies(spec, data, train),
        config=render_config(spec, data, work_dir=str(work_dir), loader_workers=loader_workers),
        threads=spec.resources.cpus_per_worker,
        log_interval=max(1, iterations // _MOST_PROGRESS_RECORDS),
        checkpoint_interval=_checkpoint_interval(spec, judged=task.judged),
        versions=installed_versions(),
        code=code_digest(),
        data_digest=data_digest(spec.dataset, Path(data.root)),
        notices=(
            *override_notices(spec),
            *label_notices(facts),
            *data_notices(data, pictures, train, table=_table_of(spec)),
        ),
    )


def _planned(weights: StoredWeights) -> PlannedWeights:
    note = weights.note
    return PlannedWeights(
        name=weights.name, path=str(weights.file.local), layout=note.layout, sha256=note.sha256
    )


def _checkpoint_interval(spec: ExperimentSpec, *, judged: bool) -> int:
    """Iterations between checkpoints; a judged run has one at each evaluation, where it may be stopped."""
    usual = max(1, min(_MOST_BETWEEN_CHECKPOINTS, spec.schedule.iterations // 10))
    between = spec.evaluation_interval
    if not judged or between >= spec.schedule.iterations:
        return usual
    return max(step for step in range(1, usual + 1) if between % step == 0)


def look_at(
    data: PreparedData, storage: Storage, say: Callable[[str], None]
) -> tuple[tuple[Counted, Counted], Pictures]:
    """What the masks of both splits hold, and what their pictures are; all faults at once.

    Raises:
        DataError: with all that cannot be used.
    """
    processes = len(os.sched_getaffinity(0))
    pictures, faults = Pictures(0, 0), []
    for split in dict.fromkeys((data.train_split, data.eval_split)):
        try:
            pairs = list_pairs(Path(data.root), split, mask_ending=data.mask_ending)
            found = check_pictures(
                pairs, split, decode_strictly, storage=storage, processes=processes, say=say
            )
            pictures = Pictures(pictures.images + found.images, pictures.grey + found.grey)
        except DataError as error:
            faults.append(str(error))
    try:
        counted = count_splits(data, storage, processes=processes, say=say)
    except DataError as error:
        raise DataError("; ".join([*faults, str(error)])) from None
    if faults:
        raise DataError("; ".join(faults))
    return counted, pictures


def _frequencies(spec: ExperimentSpec, data: PreparedData, train: Counted) -> Frequencies:
    """Of the training split: from the table that the spec names, else as counted."""
    named = _table_of(spec)
    if named is None:
        return train.frequencies
    table = find_table(named, Path(data.root), data.classes)
    return frequencies_in(table, source=f"table {named}", images=data.train_images)


def _table_of(spec: ExperimentSpec) -> str | None:
    return None if isinstance(spec.dataset, DigitScenes) else spec.dataset.frequency_table


@cache
def installed_versions() -> dict[str, str]:
    """Versions a result depends on, by distribution name."""
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **versions}
