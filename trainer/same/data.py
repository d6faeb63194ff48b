"""Which pictures, masks and numbers a training reads: by what the file system says of them, none is read."""

from __future__ import annotations

import json
from pathlib import Path

from trainer.base.content_key import content_key
from trainer.data.class_names import class_names
from trainer.data.frequency_tables import find_table
from trainer.data.splits import list_pairs
from trainer.spec.data.datasets import DATASETS, AnyDataset, DigitScenes

_BUILT_IN = "built in"


def data_digest(dataset: AnyDataset, root: Path) -> str | None:
    """What changes with any file of both splits, with the classes, and with a table of frequencies.

    Of built-in scenes the spec and the code say all. None where the file system's times do not tell
    (`ContentKey.certain`).

    Args:
        dataset: of a spec that went through `folders.resolve_spec`.
        root: where it lies here.

    Raises:
        DataError: it does not lie there any more. OSError: it cannot be read.
    """
    if isinstance(dataset, DigitScenes):
        return _BUILT_IN
    ending, names = DATASETS[dataset.name].layout.mask_ending, class_names(dataset.name, root)
    splits = [
        list_pairs(root, split, mask_ending=ending) for split in (dataset.train_split, dataset.eval_split)
    ]
    table = None
    if dataset.frequency_table is not None:
        found = find_table(dataset.frequency_table, root, names)
        table = [found.pixel, found.region]
    also = json.dumps([list(names), [len(pairs) for pairs in splits], table])
    key = content_key([path for pairs in splits for pair in pairs for path in pair], also=also, read=False)
    return key.digest if key.certain else None
