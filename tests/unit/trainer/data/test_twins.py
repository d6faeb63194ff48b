"""Counts belong to the bytes: no data set gets those of another that looks the same from outside."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data_factories import make_spec, write_folder
from trainer.base.errors import SpecError
from trainer.data.folders import resolve_spec
from trainer.data.frequency import count_splits
from trainer.data.prepare import prepare
from trainer.spec.data.datasets import Folder
from trainer.storage.layout import Storage


def twin(root: Path, label: int) -> Path:
    """Masks of one size in bytes, whatever they hold, and of one time: as a reproducible archive has them."""
    write_folder(root)
    for path in sorted(root.glob("annotations/*/*.png")):
        Image.fromarray(np.full((32, 48), label, np.uint8)).save(path, compress_level=0)
        os.utime(path, (0, 0))
    return root


def pixels(root: Path, storage: Path) -> tuple[int, ...]:
    data = prepare(Folder(root=str(root)), Storage(storage), print)
    return count_splits(data, Storage(storage))[0].frequencies.pixel


def seen_from_outside(root: Path) -> list[tuple[str, int, int]]:
    masks = sorted(root.glob("annotations/*/*.png"))
    return [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in masks]


def test_twins_in_one_storage(tmp_path: Path) -> None:
    """Two data sets of equal names, sizes and times have their own counts."""
    first, second = twin(tmp_path / "a", 0), twin(tmp_path / "b", 2)
    assert seen_from_outside(first) == seen_from_outside(second)
    whole = 2 * 32 * 48
    assert pixels(first, tmp_path / "s") == (whole, 0, 0)
    assert pixels(second, tmp_path / "s") == (0, 0, whole)


def test_one_put_in_the_place_of_another(tmp_path: Path) -> None:
    """The other twin under the first one's path is counted anew."""
    first, second = twin(tmp_path / "a", 0), twin(tmp_path / "b", 2)
    pixels(first, tmp_path / "s")
    first.rename(tmp_path / "old")
    assert pixels(second.rename(first), tmp_path / "s") == (0, 0, 2 * 32 * 48)


def test_masks_replaced_in_place(tmp_path: Path) -> None:
    """Written into the same files, size and time kept."""
    root = twin(tmp_path / "a", 0)
    before = seen_from_outside(root)
    pixels(root, tmp_path / "s")
    twin(root, 1)
    assert seen_from_outside(root) == before
    assert pixels(root, tmp_path / "s") == (0, 2 * 32 * 48, 0)


def test_headers_of_files_replaced_in_place(tmp_path: Path) -> None:
    """A POST after a mask was replaced by one of another size, its time kept, sees that."""
    root = twin(tmp_path / "a", 0)
    spec = make_spec(dataset={"name": "folder", "root": str(root)}, schedule={"crop_size": [32, 32]})
    resolve_spec(spec, data_roots=None)
    mask = root / "annotations" / "val" / "p0.png"
    Image.fromarray(np.zeros((48, 32), np.uint8)).save(mask, compress_level=0)
    os.utime(mask, (0, 0))
    with pytest.raises(SpecError, match="not of their picture's size"):
        resolve_spec(spec, data_roots=None)
