"""pictures.npz: which pictures every run shows, and their labels as they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trainer.base.errors import ReportError
from trainer.results.shown_file import MOST_SHOWN, ShownPicture, read_shown, shown_of, write_shown
from trainer.storage.posix import PosixFile


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 50, 500])
def test_the_same_few_however_they_are_listed(number: int) -> None:
    """Three at most, all different, in the order of their names, whatever the order they are found in."""
    names = [f"p{k:04d}" for k in range(number)]
    chosen = shown_of(names)
    assert len(chosen) == len(set(chosen)) == min(number, MOST_SHOWN)
    assert chosen == sorted(chosen) == shown_of(names[::-1])


def test_labels_come_back(tmp_path: Path) -> None:
    """Pictures of any size, with names of any letters."""
    file = PosixFile(tmp_path / "pictures.npz")
    wanted = [
        ShownPicture("Straße/é.png", np.full((2, 3), 255, np.uint8), np.zeros((2, 3), np.uint8)),
        ShownPicture("b.png", np.ones((4, 1), np.uint8), np.ones((4, 1), np.uint8)),
    ]
    write_shown(file, wanted)
    for found, each in zip(read_shown(file), wanted, strict=True):
        assert found.name == each.name
        assert np.array_equal(found.labels, each.labels)
        assert np.array_equal(found.truth, each.truth)


@pytest.mark.parametrize("content", [b"", b"PK", b"not a file of labels"])
def test_damage_is_told(tmp_path: Path, content: bytes) -> None:
    """By the file's name; nothing in it is executed."""
    file = PosixFile(tmp_path / "pictures.npz")
    file.write(content)
    with pytest.raises(ReportError, match=r"pictures\.npz"):
        read_shown(file)


def test_what_are_no_labels_is_told(tmp_path: Path) -> None:
    """Such as fractions."""
    file = PosixFile(tmp_path / "pictures.npz")
    with file.writing() as stream:
        np.savez(
            stream, **{"names": np.array(["a"]), "0/labels": np.zeros((2, 2)), "0/truth": np.zeros((2, 2))}
        )
    with pytest.raises(ReportError, match="0/labels is no picture's labels"):
        read_shown(file)
