"""The labels of the few pictures that every run shows, taken from its last evaluation in the first mode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_rank
from torch import Tensor

from trainer.data.splits import list_pairs
from trainer.plan import Plan
from trainer.results.shown_file import Labels, ShownPicture, shown_of, write_shown


class Shown:
    """Takes every picture of this rank as it is scored, and keeps those that are shown."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._wanted: dict[str, str] | None = None  # names by path
        self._held: dict[str, ShownPicture] = {}

    def see(self, iteration: int, path: str, labels: Tensor, target: Tensor) -> None:
        """Keeps a picture's (1, H, W) integer labels and truth, where it is shown and nothing follows."""
        if iteration < self._plan.spec.schedule.iterations:
            return
        if self._wanted is None:
            self._wanted = self._look()
        name = self._wanted.get(path)
        if name is not None:
            self._held[name] = ShownPicture(name, _as_ids(labels), _as_ids(target))

    def write(self) -> None:
        """Writes those of all ranks, on rank 0; every rank calls it.

        Raises:
            DiskFull: there is no room; nothing of it stays.
        """
        held = {name: each for found in all_gather_object(self._held) for name, each in found.items()}
        if get_rank() == 0:
            write_shown(self._plan.attempt_dir.shown, [held[name] for name in sorted(held)])

    def _look(self) -> dict[str, str]:
        data = self._plan.data
        folder = Path(data.root, "images", data.eval_split)
        pairs = list_pairs(Path(data.root), data.eval_split, mask_ending=data.mask_ending)
        names = shown_of([pair.picture.relative_to(folder).as_posix() for pair in pairs])
        return {str(folder / name): name for name in names}


def _as_ids(labels: Tensor) -> Labels:
    return np.asarray(labels.squeeze(0).to(torch.uint8).cpu().numpy())
