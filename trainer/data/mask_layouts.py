"""The masks of one split of a data set, in the layouts we know, and what the ids in them mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from trainer.base.errors import DataError
from trainer.data.class_names import CLASSES_FILE, class_names
from trainer.data.prepare import PreparedData, prepare
from trainer.data.splits import list_pairs
from trainer.spec.data.datasets import DATASETS, DigitScenes
from trainer.spec.data.label_map import LabelMap, as_stored, layout_map
from trainer.storage.layout import Storage


@dataclass(frozen=True)
class MaskSet:
    """Masks of one split, and what the ids in them mean; None: as stored."""

    split: str
    masks: tuple[Path, ...]
    classes: tuple[str, ...]  # in label order, after this mapping: the order of priors and tables
    label_map: LabelMap | None = None
    dataset: str = "folder"  # its name in a spec

    @property
    def ids(self) -> LabelMap:
        """Class, or void, of each id that a mask may hold."""
        return as_stored(len(self.classes)) if self.label_map is None else self.label_map


NAMES = tuple(name for name in DATASETS if name != "folder")


def name_and_root(given: str, root: Path | None) -> tuple[str, Path | None]:
    """What `find_masks` calls the data set that a person named, and its directory.

    Args:
        given: one of `NAMES`, "folder", or the directory of a folder data set.

    Raises:
        DataError: there is no such data set, or `root` is missing or needless.
    """
    known = ", ".join(NAMES)
    if given == "digit_scenes" and root is not None:
        raise DataError("--root: digit_scenes is built in and has none")
    if given in (*NAMES, "folder"):
        if root is None and given != "digit_scenes":
            raise DataError(f"{given}: say where it lies: --root DIR")
        return given, root
    if root is not None:
        raise DataError(f"{given!r} is not a data set that takes --root; allowed: {known}, folder")
    if not Path(given).is_dir():
        allowed = f"{known}, folder, or a directory with images/, annotations/ and classes.txt"
        raise DataError(f"{given!r} is neither a data set nor a directory; allowed: {allowed}")
    return "folder", Path(given)


def split_of(data: PreparedData, split: str) -> MaskSet:
    """A split of prepared data.

    Raises:
        DataError: pictures and masks are not in pairs.
    """
    pairs = list_pairs(Path(data.root), split, mask_ending=data.mask_ending)
    masks = tuple(pair.mask for pair in pairs)
    return MaskSet(split, masks, data.classes, data.label_map, data.dataset)


def find_masks(
    dataset: str, root: Path | None, split: str | None, *, storage: Storage, say: Callable[[str], None]
) -> MaskSet:
    """The masks to count of a data set: one of `NAMES`, or "folder" for images/, annotations/, classes.txt.

    Args:
        root: its directory; None for digit_scenes, which is rendered into `storage`.
        split: by default the one that is trained on.
        say: told what takes time.

    Raises:
        DataError: the files are not there, not in pairs, or not of these classes.
    """
    if dataset == "digit_scenes":
        return split_of(prepare(DigitScenes(), storage, say), split or "train")
    if root is None:
        raise DataError(f"{dataset}: its directory is missing")
    entry = DATASETS[dataset]
    classes = _classes_of(dataset, root)
    found = MaskSet(
        split or entry.default("train_split"), (), classes, layout_map(dataset, len(classes)), dataset
    )
    pairs = list_pairs(root, found.split, mask_ending=entry.layout.mask_ending)
    if not pairs:
        raise DataError(f"split {found.split!r}: no pictures in {root / 'images' / found.split}")
    return replace(found, masks=tuple(pair.mask for pair in pairs))


def _classes_of(dataset: str, root: Path) -> tuple[str, ...]:
    try:
        names = class_names(dataset, root)
    except DataError as error:
        raise DataError(f"{root}: {error}") from None
    expected = DATASETS[dataset].classes
    if expected is not None and names != expected:
        raise DataError(f"{root / CLASSES_FILE} is not that of {dataset}: {', '.join(expected)}")
    return names
