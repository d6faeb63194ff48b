"""The experiment, in MLflow's sense, that an experiment's run lies in: one for each data set."""

from __future__ import annotations

import hashlib
from pathlib import PurePath

from trainer.base.data_roots import is_named
from trainer.spec.data.datasets import AnyDataset, Folder

_DIGITS = 8
_MOST_CHARACTERS = 200


def group_of(dataset: AnyDataset) -> str:
    """The data set's name; of a folder with its place, for two folders are two data sets.

    `folder data:NAME/sub` where the root has a name; else `folder LAST-DIGEST`, the directory's last part and
    eight hexadecimal digits of the SHA-256 of the whole.
    """
    if not isinstance(dataset, Folder):
        return dataset.name
    if is_named(dataset.root):
        place = dataset.root
    else:
        last = PurePath(dataset.root).name or "root"
        place = f"{last[:_MOST_CHARACTERS]}-{hashlib.sha256(dataset.root.encode()).hexdigest()[:_DIGITS]}"
    return f"{dataset.name} {place}"
