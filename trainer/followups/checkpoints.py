"""A kept checkpoint, ready to label pictures."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from trainer.base.errors import CheckpointError
from trainer.mmseg_adapter import quiet_imports
from trainer.mmseg_adapter.model.kept import Kept, load_kept
from trainer.spec.checkpoints import CheckpointName
from trainer.spec.data.class_map import unlike_classes
from trainer.storage.layout import Storage


def load_for(
    storage: Storage,
    experiment: str,
    name: CheckpointName,
    *,
    classes: Sequence[str],
    device: torch.device,
) -> Kept:
    """The checkpoint's model on the device.

    Raises:
        CheckpointError: it is not there, damaged, or of other classes than these.
    """
    with quiet_imports():
        kept = load_kept(storage, experiment, name)
    check_classes(kept.meta["dataset_meta"]["classes"], classes, f"checkpoint {name} of {experiment}")
    kept.model.to(device)
    return kept


def check_classes(found: Sequence[str], wanted: Sequence[str], what: str) -> None:
    """Raises CheckpointError where a model's classes are not these, in this order; it names what differs."""
    unlike = unlike_classes(wanted, found)
    if unlike is not None:
        raise CheckpointError(f"{what} is of other classes: it {unlike}")
