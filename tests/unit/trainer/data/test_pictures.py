"""Pictures are decoded once for the same files, in one process or several, and not again."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests.data_factories import write_folder, write_pair
from trainer.base.errors import DataError
from trainer.data.headers import Header, Refused, picture_header, read_header
from trainer.data.pictures import Pictures, check_pictures
from trainer.data.splits import list_pairs
from trainer.storage.layout import Storage


def by_header(path: str) -> Header | str:
    """A decoder that decodes nothing."""
    found = read_header(Path(path), picture_header)
    return str(found) if isinstance(found, Refused) else found


class Counting:
    """A decoder that counts what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, path: str) -> Header | str:
        self.asked.append(Path(path).name)
        return by_header(path)


def check(root: Path, decode, storage: Path, **options) -> Pictures:  # type: ignore[no-untyped-def]
    pairs = list_pairs(root, "train")
    told = options.pop("say", lambda _: None)
    return check_pictures(pairs, "train", decode, storage=Storage(storage), say=told, **options)


def test_the_second_start_decodes_nothing(tmp_path: Path) -> None:
    """What was found is kept; a picture that was written again is looked at again, and its split with it."""
    root, decode = write_folder(tmp_path / "d"), Counting()
    first = check(root, decode, tmp_path / "s")
    assert (first, decode.asked) == (Pictures(2, 0), ["p0.png", "p1.png"])
    assert check(root, decode, tmp_path / "s") == first
    assert len(decode.asked) == 2
    picture = root / "images" / "train" / "p0.png"
    facts, content = picture.stat(), picture.read_bytes()
    picture.write_bytes(content)
    os.utime(picture, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert check(root, decode, tmp_path / "s") == first
    assert len(decode.asked) == 4


@pytest.mark.slow
def test_two_processes_find_what_one_finds(tmp_path: Path) -> None:
    """Also the offenders, in the order of their names."""
    ids = np.zeros((2, 3), np.uint8)
    root = write_folder(tmp_path / "d", {"train": [ids] * 210})
    for number in (7, 150):
        (root / "images" / "train" / f"p{number}.png").write_bytes(b"junk")
    told = []
    for processes in (1, 2):
        with pytest.raises(DataError) as caught:
            check(root, by_header, tmp_path / "s", processes=processes)
        told.append(str(caught.value))
    assert told[0] == told[1]
    assert "images/train: 2 of 210 pictures cannot be used, first: p150.png: that cannot" in told[0]
    assert not (tmp_path / "s").exists()


def test_every_offender_is_in_the_log(tmp_path: Path) -> None:
    """A message that names five of seven leaves two to be found by another run."""
    root = write_folder(tmp_path / "d", {"train": [np.zeros((2, 3), np.uint8)] * 9})
    for number in range(7):
        (root / "images" / "train" / f"p{number}.png").write_bytes(b"junk")
    lines: list[str] = []
    with pytest.raises(DataError, match="7 of 9 pictures cannot be used, first: p0") as caught:
        check(root, by_header, tmp_path / "s", say=lines.append)
    assert "p5.png" not in str(caught.value)
    assert [line.partition(":")[0] for line in lines] == [
        f"images/train/p{number}.png" for number in range(7)
    ]


def test_a_mask_of_another_size_is_told(tmp_path: Path) -> None:
    """Replaced since the spec was posted: training would fail in its middle."""
    root = write_folder(tmp_path / "d")
    write_pair(tmp_path / "other", "train", "p0", np.zeros((4, 5), np.uint8))
    (tmp_path / "other" / "annotations" / "train" / "p0.png").replace(
        root / "annotations" / "train" / "p0.png"
    )
    with pytest.raises(DataError, match=r"p0\.png: is 48×32, its mask 5×4"):
        check(root, by_header, tmp_path / "s")


def test_what_changes_meanwhile_is_not_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A result that may be half of one content and half of another serves this run, and no other."""
    root = write_folder(tmp_path / "d")

    def disturb(path: str) -> Header | str:
        found = by_header(path)
        write_pair(root, "train", "p1", np.zeros((32, 48), np.uint8))
        return found

    assert check(root, disturb, tmp_path / "s").images == 2
    assert "changed while it was read" in caplog.text
    assert not (tmp_path / "s").exists()


def test_progress_is_told(tmp_path: Path) -> None:
    """Every ten seconds, with the number done and the number of all."""
    ids = np.zeros((2, 3), np.uint8)
    root = write_folder(tmp_path / "d", {"train": [ids] * 40})
    times = iter(range(0, 1000, 6))
    said: list[str] = []
    check(root, by_header, tmp_path / "s", say=said.append, clock=lambda: float(next(times)))
    assert said == ["decoding the pictures of images/train: 32 of 40"]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": 1, "images": 2}', '{"format": 0, "images": 2, "grey": 0}']
)
def test_spoilt_keepsake(tmp_path: Path, text: str) -> None:
    """A kept file that is cut short or not ours is made anew."""
    root, decode = write_folder(tmp_path / "d"), Counting()
    check(root, decode, tmp_path / "s")
    (kept,) = (tmp_path / "s" / "pictures").iterdir()
    kept.write_text(text)
    check(root, decode, tmp_path / "s")
    assert len(decode.asked) == 4
