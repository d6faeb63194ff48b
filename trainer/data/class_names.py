"""The classes of a data set on disk: of the catalogue, or of the classes.txt that lies there."""

from __future__ import annotations

from pathlib import Path

from trainer.base.errors import DataError
from trainer.data.headers import pointer_in
from trainer.spec.data.datasets import DATASETS, MAX_CLASSES, MIN_CLASSES

CLASSES_FILE = "classes.txt"
_LONGEST_CLASSES_FILE = 1 << 20


def class_names(dataset_name: str, root: Path) -> tuple[str, ...]:
    """The classes of a data set of the catalogue that lies in `root`, in label order.

    Raises:
        DataError: as `read_classes` does, where the classes are those of classes.txt.
    """
    entry = DATASETS[dataset_name]
    if entry.classes is None or entry.layout.classes_file:
        return read_classes(root)
    return entry.classes


def read_classes(root: Path) -> tuple[str, ...]:
    """Class names in label order, line i = id i.

    Raises:
        DataError: classes.txt is missing, or not 2 to 255 non-empty, unique lines of UTF-8.
    """
    path = root / CLASSES_FILE
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            raise DataError(f"{CLASSES_FILE} is not a file")
        if path.is_symlink() and not path.exists():
            raise DataError(f"{CLASSES_FILE} links to nothing")
        with path.open("rb") as stream:
            content = stream.read(_LONGEST_CLASSES_FILE + 1)
        pointer = pointer_in(content)  # three lines of text, which would be three classes
        if pointer is not None:
            raise DataError(f"{CLASSES_FILE} is one of the {pointer[0]}, not the file itself: {pointer[1]}")
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{CLASSES_FILE} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{CLASSES_FILE} is not UTF-8: byte {error.start}") from None
    names = [line.strip() for line in text.rstrip().split("\n")]
    count = len(names) if any(names) else 0
    if not MIN_CLASSES <= count <= MAX_CLASSES:
        raise DataError(f"{CLASSES_FILE} has {count} {'line' if count == 1 else 'lines'}")
    for number, name in enumerate(names):
        if not name:
            raise DataError(f"{CLASSES_FILE}: line {number + 1} is empty")
        if names.index(name) != number:
            raise DataError(f"{CLASSES_FILE}: {name!r} is in lines {names.index(name) + 1} and {number + 1}")
    return tuple(names)
