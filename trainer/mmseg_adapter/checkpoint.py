"""Checkpoints to resume from, and the one to deploy: tensors and plain values only, written atomically."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from trainer.base.errors import CheckpointError
from trainer.mmseg_adapter.check_sums import damage
from trainer.mmseg_adapter.mmengine_compat import continue_at
from trainer.mmseg_adapter.step.average import average_of, bare
from trainer.mmseg_adapter.step.continued import begin_with
from trainer.spec.longer.continues import Continues
from trainer.storage.checkpoints import Facts, note_facts
from trainer.storage.port import StoredFile, StoredFolder

_NAME = re.compile(r"iter_(\d+)\.pth")


class Restored(NamedTuple):
    """What a run begins with: of which iteration, and where it is from, for people."""

    iteration: int
    told: str


class TrainingCheckpoints:
    """iter_N.pth files of one experiment, shared by all its attempts."""

    def __init__(
        self,
        folder: StoredFolder,
        *,
        spec_hash: str,
        keep_last: int = 2,
        continues: Continues | None = None,
    ) -> None:
        """The folder's checkpoints of this spec, and the one of another training that it may begin with.

        Args:
            keep_last: so many are kept; the one before the newest is the way out when that is damaged.
            continues: which one that is, if any.
        """
        self._folder = folder
        self._spec_hash = spec_hash
        self._keep_last = keep_last
        self._continues = continues

    def clear(self) -> None:
        """Removes what writers left that were killed: each as large as a checkpoint."""
        self._folder.clear_unfinished()

    def save(self, runner: Any, iteration: int) -> None:
        """Writes iter_`iteration`.pth whole, then drops all but the newest `keep_last`."""
        payload = {
            "iteration": iteration,
            "spec_hash": self._spec_hash,
            "state_dict": bare(runner.model).state_dict(),
            "optimizer": runner.optim_wrapper.state_dict(),
            # The scheduler hook ran before ours: these are the values of the next iteration.
            "param_schedulers": [_plain(scheduler.state_dict()) for scheduler in runner.param_schedulers],
        }
        average = average_of(runner)
        if average is not None:
            payload["average"] = average.state_dict()
        save_whole(payload, self._folder.file(f"iter_{iteration}.pth"))
        for _, file in self._newest_first()[self._keep_last :]:
            file.delete()

    def restore(self, runner: Any) -> Restored | None:
        """Puts the newest whole checkpoint into `runner`; None where there is none.

        Raises:
            CheckpointError: there is none, and the training goes on from one.
        """
        for iteration, file in self._newest_first():
            payload = _read(file)
            if payload is None:
                continue
            if payload["spec_hash"] == self._spec_hash:
                runner.optim_wrapper.load_state_dict(payload["optimizer"])
                for scheduler, state in zip(
                    runner.param_schedulers, payload["param_schedulers"], strict=True
                ):
                    scheduler.load_state_dict(state)
                told = f"resumed from iteration {iteration}"
            elif self._is_first(iteration, payload["spec_hash"]):
                begin_with(runner, payload["optimizer"], iteration)
                told = str(self._continues)
            else:
                continue
            bare(runner.model).load_state_dict(payload["state_dict"])
            average = average_of(runner)
            if average is not None:
                average.load_state_dict(payload["average"])
            continue_at(runner, iteration)
            return Restored(iteration, told)
        if self._continues is not None:
            raise CheckpointError(
                f"it {self._continues}, and {self._folder} has no whole checkpoint of either"
            )
        return None

    def _is_first(self, iteration: int, spec_hash: str) -> bool:
        """Whether this is the checkpoint that the training goes on from."""
        first = self._continues
        return first is not None and (first.iteration, first.spec_hash) == (iteration, spec_hash)

    def _newest_first(self) -> list[tuple[int, StoredFile]]:
        found = {int(match[1]): name for name in self._folder.names() if (match := _NAME.fullmatch(name))}
        return [(iteration, self._folder.file(found[iteration])) for iteration in sorted(found, reverse=True)]


def save_whole(payload: Mapping[str, Any], file: StoredFile, facts: Facts | None = None) -> None:
    """torch.save, whole or not at all: a checkpoint that is there can be read, and has its `facts`.

    Raises:
        DiskFull: there is no room; nothing of it stays.
    """
    with file.writing() as stream:
        torch.save(dict(payload), stream)
        if facts is not None:
            note_facts(stream, facts)


def _read(file: StoredFile) -> dict[str, Any] | None:
    """The checkpoint, or None where the file is damaged."""
    try:
        if damage(file.local) is not None:
            return None
        payload: dict[str, Any] = torch.load(file.local, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError, zipfile.BadZipFile):
        return None
    return payload


def _plain(state: Mapping[str, Any]) -> dict[str, Any]:
    """Only what `weights_only=True` will read back."""
    simple = (int, float, str, bool, list, tuple, dict, type(None))
    return {key: value for key, value in state.items() if isinstance(value, simple)}
