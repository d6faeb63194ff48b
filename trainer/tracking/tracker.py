"""The tracker port: one run in MLflow per experiment, over all its attempts."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from trainer.base.ends import RunStatus
from trainer.storage.layout import mlflow_ids
from trainer.storage.port import StoredFile
from trainer.tracking.content.datasets import TrackedDataset
from trainer.tracking.content.overlays import Drawn
from trainer.tracking.content.trained import Scored, TrainedModel
from trainer.tracking.content.views import View

Columns = Mapping[str, Sequence[Any]]


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
    """One open run. Every method may raise TrackerError; whatever is sent twice is there once."""

    def open(self, info: RunInfo) -> Opened:
        """Opens the run, or makes it. What was deleted, it or its group, is restored, else made anew.

        One with a parent is made in the parent's group, whatever its own is called.
        """

    def log_points(self, points: Sequence[Point], run_id: str | None = None) -> None:
        """Curves, of this run, or of another that is there already."""

    def log_tables(self, tables: Mapping[str, Columns]) -> None:
        """Tables that MLflow's interface shows and compares: artifacts `name`.json, replaced as a whole."""

    def log_file(self, path: Path, folder: str = "") -> None: ...

    def log_images(self, images: Sequence[Drawn], *, step: int, unix_seconds: float) -> None:
        """Pictures that MLflow's interface lays side by side, those of one key in a grid of runs."""

    def log_trained(
        self, model: TrainedModel, scored: Sequence[Scored], datasets: Sequence[TrackedDataset] = ()
    ) -> None:
        """A checkpoint as one of MLflow's models, its scores as metrics of run and model, and what data were
        used beside those it was scored on.
        """

    def log_model(self, folder: Path, name: str) -> None:
        """A folder of `mlflow.pyfunc.save_model` as a model that the run made."""

    def show_view(self, view: View) -> None:
        """Charts set in advance, linked in the run's description; nothing where a server refuses."""

    def close(self, status: RunStatus) -> None: ...


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
