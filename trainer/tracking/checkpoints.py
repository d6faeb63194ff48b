"""The checkpoints that MLflow gets because a spec asks for them, beside the final one."""

from __future__ import annotations

import logging
from pathlib import Path
from tempfile import TemporaryDirectory

from trainer.base.errors import CheckpointError
from trainer.mmseg_adapter import quiet_imports
from trainer.spec.checkpoints import LAST, CheckpointName
from trainer.storage.checkpoints import find_checkpoint, list_checkpoints
from trainer.storage.layout import Storage
from trainer.storage.port import StoredFile
from trainer.task import Task
from trainer.tracking.tracker import Tracker

log = logging.getLogger(__name__)
FOLDER = "checkpoint"  # of the run's artifacts


def send_tracked(attempt: Task, tracker: Tracker) -> None:
    """Sends `best` and `last` as the spec asks, each in the form to deploy. One that cannot be had is logged.

    Raises:
        TrackerError: MLflow did not take it.
        OSError: there is no room to make one ready.
    """
    for name in attempt.spec.checkpoints.track:
        with TemporaryDirectory() as scratch:
            file = Storage(Path(scratch)).file(f"{name}.pth")
            try:
                _make_ready(attempt.layout, attempt.experiment, name, file)
            except CheckpointError as error:
                log.warning("%s is not sent to MLflow: %s", name, error)
                continue
            tracker.log_file(file.local, FOLDER)


def _make_ready(storage: Storage, experiment: str, name: CheckpointName, file: StoredFile) -> None:
    """Makes `file` the checkpoint, without a copy where it is one to deploy already."""
    found = find_checkpoint(storage, experiment, name)
    same = [each for each in list_checkpoints(storage, experiment) if each.iteration == found.iteration]
    ready = next((each for each in same if not each.to_resume), None)
    if ready is not None:
        file.local.symlink_to(storage.file(ready.file).local)
        return
    with quiet_imports():
        from trainer.mmseg_adapter.checkpoint import save_whole
        from trainer.mmseg_adapter.model.kept import load_kept

    kept = load_kept(storage, experiment, LAST)
    save_whole({"state_dict": kept.model.state_dict(), "meta": kept.meta}, file)
