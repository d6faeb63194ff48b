"""The files an experiment trains and scores on; built-in scenes are rendered, so all data are folders."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from trainer.base.data_roots import place_of
from trainer.base.errors import DataError, Problem
from trainer.data import digits
from trainer.data.class_names import CLASSES_FILE, class_names
from trainer.data.listing import MASK_SUFFIX
from trainer.data.splits import list_pairs
from trainer.spec.data.class_list import Colour
from trainer.spec.data.datasets import DATASETS, AnyDataset, DigitScenes
from trainer.spec.data.label_map import LabelMap, asked_map
from trainer.storage.layout import Storage


@dataclass(frozen=True)
class SplitFiles:
    """The pictures and masks of one split, and what its masks hold; see `PreparedData`."""

    root: str
    split: str
    classes: tuple[str, ...]
    mask_ending: str = MASK_SUFFIX
    label_map: LabelMap | None = None
    palette: tuple[Colour, ...] | None = None


@dataclass(frozen=True)
class PreparedData:
    """A data set on disk, ready to be read; plain data, so that a plan can hold it."""

    root: str
    train_split: str
    eval_split: str
    classes: tuple[str, ...]  # in label order
    scale: float  # pictures are shrunk by this factor before anything else
    train_images: int
    eval_images: int
    label_map: LabelMap | None = None  # of ids in masks; None: as stored
    dataset: str = "folder"  # its name in a spec
    mask_ending: str = MASK_SUFFIX  # of a mask's name, after its picture's stem
    palette: tuple[Colour, ...] | None = None  # of the classes, where they have colours

    def files(self, split: str) -> SplitFiles:
        """Of one of its splits."""
        return SplitFiles(self.root, split, self.classes, self.mask_ending, self.label_map, self.palette)


def prepare(
    dataset: AnyDataset,
    storage: Storage,
    say: Callable[[str], None],
    *,
    named: Mapping[str, str] = MappingProxyType({}),
) -> PreparedData:
    """The data set's files, rendered first if it is built in and nobody has yet.

    Args:
        dataset: of a spec that went through `folders.resolve_spec`.
        say: told what takes time, one line each.
        named: the directories of data roots that have a name.

    Raises:
        DataError: the files changed since the spec was resolved.
        DiskFull: there is no room for the scenes; none of them stays.
    """
    if isinstance(dataset, DigitScenes):
        root = _rendered(dataset, storage, say)
        train_split, eval_split, scale = "train", "val", 1.0
    elif dataset.root is None:
        raise DataError(f"{dataset.name} has no root: resolve the spec first")
    else:
        place = place_of(dataset.root, named)
        if isinstance(place, Problem):
            raise DataError(str(place))
        root = place
        train_split, eval_split, scale = dataset.train_split, dataset.eval_split, dataset.scale
    entry = DATASETS[dataset.name]
    ending = entry.layout.mask_ending
    classes = class_names(dataset.name, root)
    return PreparedData(
        root=str(root.absolute()),  # workers run in other directories
        train_split=train_split,
        eval_split=eval_split,
        classes=classes,
        scale=scale,
        train_images=len(list_pairs(root, train_split, mask_ending=ending)),
        eval_images=len(list_pairs(root, eval_split, mask_ending=ending)),
        label_map=asked_map(dataset, len(classes)),
        dataset=dataset.name,
        mask_ending=ending,
        palette=entry.palette,
    )


def _rendered(dataset: DigitScenes, storage: Storage, say: Callable[[str], None]) -> Path:
    """Directory of the rendered scenes."""
    parameters = {**dataset.model_dump(mode="json"), "version": digits.RENDERER_VERSION}
    key = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()[:16]
    name = f"{dataset.name}-{key}"

    def render(root: Path) -> None:
        say(f"rendering {dataset.train_images} + {dataset.eval_images} digit scenes into {name}")
        _write_scenes(dataset, root)

    return storage.datasets.publish(name, render).local


def _write_scenes(dataset: DigitScenes, root: Path) -> None:
    from PIL import Image

    for split in digits.SPLITS:
        pictures, masks = root / "images" / split, root / "annotations" / split
        pictures.mkdir(parents=True)
        masks.mkdir(parents=True)
        for number, scene in enumerate(digits.render(dataset, split)):
            name = f"scene_{number:05d}.png"
            Image.fromarray(scene.picture).save(pictures / name, compress_level=1)
            Image.fromarray(scene.labels).save(masks / name, compress_level=1)
    (root / CLASSES_FILE).write_text("\n".join(digits.class_names()) + "\n", encoding="utf-8")
