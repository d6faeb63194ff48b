"""confusion.npz: whole or not there, read without executing anything."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data_factories import counts_of
from trainer.base.errors import ReportError
from trainer.results.confusion_file import ConfusionFile, read_confusion, write_confusion
from trainer.results.split_counts import SplitCounts
from trainer.storage.posix import PosixFile

CLASSES = ("road", "Straße", "")
NAMES = ("confusion", "tp", "fp", "fn")


def modes() -> dict[str, SplitCounts]:
    one = counts_of([[8, 2, 0], [1, 5, 0], [1, 1, 2]], images=3)
    return {"single_scale": one, "multi_scale": counts_of(np.zeros((3, 3), dtype=np.int64))}


def same(found: ConfusionFile, wanted: dict[str, SplitCounts]) -> bool:
    return list(found.modes) == list(wanted) and all(
        found.modes[mode].names == counts.names
        and all(np.array_equal(getattr(found.modes[mode], name), getattr(counts, name)) for name in NAMES)
        for mode, counts in wanted.items()
    )


def test_round_trip(tmp_path: Path) -> None:
    """What is read is what was written, mode by mode; plain numpy reads it without pickle."""
    file = PosixFile(tmp_path / "confusion.npz")
    write_confusion(file, modes(), CLASSES)
    found = read_confusion(file)
    assert found.classes == CLASSES
    assert same(found, modes())
    with np.load(file.local, allow_pickle=False) as arrays:
        assert arrays["single_scale/pictures"].tolist() == ["p00000", "p00001", "p00002"]
        assert arrays["single_scale/tp"].dtype == np.int64


def test_no_pictures(tmp_path: Path) -> None:
    """An evaluation of nothing has counts of no pictures."""
    empty = np.zeros((0, 2), dtype=np.int64)
    counts = SplitCounts(np.zeros((2, 2), dtype=np.int64), (), empty, empty, empty)
    file = PosixFile(tmp_path / "confusion.npz")
    write_confusion(file, {"single_scale": counts}, ["a", "b"])
    assert same(read_confusion(file), {"single_scale": counts})


def test_a_write_that_fails_leaves_the_old(tmp_path: Path) -> None:
    """Nothing half-written, and no temporary file."""
    file = PosixFile(tmp_path / "confusion.npz")
    write_confusion(file, modes(), CLASSES)
    with pytest.raises(AttributeError):
        write_confusion(file, {"single_scale": modes()["single_scale"], "broken": None}, CLASSES)  # type: ignore[dict-item]
    assert same(read_confusion(file), modes())
    assert [path.name for path in tmp_path.iterdir()] == ["confusion.npz"]


def test_no_file(tmp_path: Path) -> None:
    """One that is not there is no damaged one."""
    with pytest.raises(FileNotFoundError):
        read_confusion(PosixFile(tmp_path / "confusion.npz"))


def _npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def _zip(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, content)
    return stream.getvalue()


_HUGE = _npy(np.zeros(3)).replace(
    b"(3,), }         ", b"(%d,), }" % 10**9
)  # 8 GB of zeros that are not there


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a file of counts",
        _npy(np.zeros(3)),
        _npz(),
        _npz(classes=np.array(["a"]), **{"m/confusion": np.zeros((2, 2), dtype=np.int64)}),
        _npz(classes=np.array("ab"), other=np.zeros(1)),
        _npz(classes=np.array([{}], dtype=object)),
        _zip("classes.npy", b"text"),
        _zip("classes.npy", _HUGE),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    """Another file is told by its name, and what is pickled in it is never loaded."""
    file = PosixFile(tmp_path / "confusion.npz")
    file.write(content)
    with pytest.raises(ReportError, match=r"confusion\.npz: is damaged, or no file of counts"):
        read_confusion(file)


@pytest.mark.parametrize("name", [*NAMES, "pictures"])
@pytest.mark.parametrize("how", ["shape", "type", "missing"])
def test_arrays_must_fit_each_other(tmp_path: Path, name: str, how: str) -> None:
    """An array of another shape or type, or none, is an error that names it."""
    file = PosixFile(tmp_path / "confusion.npz")
    write_confusion(file, modes(), CLASSES)
    with np.load(file.local) as found:
        arrays = dict(found)
    key = f"multi_scale/{name}"
    array = arrays.pop(key)
    if how != "missing":
        arrays[key] = (
            array[:-1] if how == "shape" else array.astype(np.float32 if name != "pictures" else "S9")
        )
    if how == "type" and name == "pictures":
        return  # bytes are read as their text: only names suffer
    file.write(_npz(**arrays))
    with pytest.raises(ReportError, match="multi_scale/"):
        read_confusion(file)


def test_damaged_bytes(tmp_path: Path) -> None:
    """Cut short anywhere, or with any byte changed, it is an error or what it was: never other counts."""
    file = PosixFile(tmp_path / "confusion.npz")
    write_confusion(file, modes(), CLASSES)
    whole, draw = file.read_bytes(), random.Random(0)
    for _ in range(300):
        place = draw.randrange(len(whole))
        damaged = bytearray(whole[:place] if draw.random() < 0.2 else whole)
        if len(damaged) > place:
            damaged[place] ^= 1 << draw.randrange(8)
        file.write(bytes(damaged))
        try:
            found = read_confusion(file)
        except ReportError:
            continue
        assert same(found, modes())
