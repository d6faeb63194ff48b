"""ExperimentSpec → Plan: everything a rank needs, as plain data, the same on every rank."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field

from trainer.base.errors import DataError
from trainer.data.frequency import Counted, Frequencies, count_splits, frequencies_in
from trainer.data.frequency_tables import PACKAGED_IMAGES, find_table
from trainer.data.labels.facts import LabelFacts
from trainer.data.labels.notices import label_notices
from trainer.data.pictures import Pictures, check_pictures
from trainer.data.prepare import PreparedData, prepare
from trainer.data.splits import list_pairs
from trainer.mmseg_adapter.config import render_config
from trainer.mmseg_adapter.decode import decode_strictly
from trainer.spec.datasets import DigitScenes
from trainer.spec.spec import ExperimentSpec, spec_hash
from trainer.storage.layout import Storage
from trainer.storage.notices import Notice
from trainer.task import Task

_MOST_PROGRESS_RECORDS = 200
_MOST_BETWEEN_CHECKPOINTS = 1000  # iterations
_PACKAGES = ("torch", "ray", "onedl-mmsegmentation", "onedl-mmengine", "onedl-mmcv", "numpy")


class Plan(Task):
    """A task, ready to run. `config` is mmengine's, rendered; see `mmseg_adapter.config.revive`."""

    spec_hash: str
    data: PreparedData
    frequencies: Frequencies
    config: dict[str, Any]
    threads: int
    log_interval: int
    checkpoint_interval: int
    versions: dict[str, str]
    notices: tuple[Notice, ...] = Field(default=(), strict=False)  # what was noticed of the data


def make_plan(task: Task, say: Callable[[str], None]) -> Plan:
    """Prepares the data, counts their labels, and renders the config.

    Raises:
        DataError: pictures or masks are not what the spec says.
    """
    spec, storage = task.spec, task.layout
    data = prepare(spec.dataset, storage, say)
    (train, scored), pictures = _look_at(data, storage, say)
    facts = LabelFacts(spec.dataset.name, data.classes, train, scored, data.label_map)
    # On a CPU loading and training share the cores: more processes only cost start-up time.
    loader_workers = spec.resources.cpus_per_worker - 1 if spec.resources.gpus_per_worker else 0
    work_dir = task.attempt_dir.path / "mmengine"
    iterations = spec.schedule.iterations
    return Plan(
        **dict(task),
        spec_hash=spec_hash(spec),
        data=data,
        frequencies=_frequencies(spec, data, train),
        config=render_config(spec, data, work_dir=str(work_dir), loader_workers=loader_workers),
        threads=spec.resources.cpus_per_worker,
        log_interval=max(1, iterations // _MOST_PROGRESS_RECORDS),
        checkpoint_interval=_checkpoint_interval(spec, judged=task.judged),
        versions=installed_versions(),
        notices=(*label_notices(facts), *_notices(spec, pictures, data, train)),
    )


def _checkpoint_interval(spec: ExperimentSpec, *, judged: bool) -> int:
    """Iterations between checkpoints; a judged run has one at each evaluation, where it may be stopped."""
    usual = max(1, min(_MOST_BETWEEN_CHECKPOINTS, spec.schedule.iterations // 10))
    between = spec.evaluation.interval
    if not judged or between is None:
        return usual
    return max(step for step in range(1, usual + 1) if between % step == 0)


def _look_at(
    data: PreparedData, storage: Storage, say: Callable[[str], None]
) -> tuple[tuple[Counted, Counted], Pictures]:
    """What the masks of both splits hold, and what their pictures are; all faults at once."""
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


def _notices(
    spec: ExperimentSpec, pictures: Pictures, data: PreparedData, train: Counted
) -> tuple[Notice, ...]:
    """What a person should know of the data."""
    table = _of_other_pictures(_table_of(spec), train)
    return (*_seen_in_training(data), *table, *_greyscale(pictures, data))


def _of_other_pictures(table: str | None, train: Counted) -> Iterator[Notice]:
    """Where a packaged table stands for a split that cannot be the one it was counted on."""
    images, region = train.frequencies.images, train.frequencies.region
    of = PACKAGED_IMAGES.get(table or "", images)
    if of == images:
        return
    present = f"{sum(count > 0 for count in region)} of the {len(region)} classes"
    yield Notice(
        code="table_of_other_pictures",
        text=f"class frequencies are those of table {table!r}, counted on {of} pictures;"
        f" split {train.split!r} has {images} {'picture' if images == 1 else 'pictures'} with {present}",
        hint='"frequency_table": null in /dataset counts the masks at hand',
    )


def _seen_in_training(data: PreparedData) -> Iterator[Notice]:
    if data.train_split == data.eval_split:
        yield Notice(
            code="scored_on_training",
            text=f"split {data.eval_split!r} is both trained and scored on: the scores say nothing of other"
            " pictures",
            hint="another split as /dataset/eval_split",
        )


def _greyscale(pictures: Pictures, data: PreparedData) -> Iterator[Notice]:
    if not pictures.grey:
        return
    splits = " and ".join(dict.fromkeys((data.train_split, data.eval_split)))
    number = f"{pictures.grey} of {pictures.images} pictures ({splits})"
    text = f"{number} are greyscale: they are read as three equal channels"
    yield Notice(code="greyscale_pictures", text=text)


@cache
def installed_versions() -> dict[str, str]:
    """Versions a result depends on, by distribution name."""
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **versions}
