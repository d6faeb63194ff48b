"""A key stands for one content: not for another's with the same names, sizes and times."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from trainer.base.content_key import content_key


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    path.write_bytes(b"one")
    os.utime(path, (0, 0))
    return path


def test_the_same_until_it_changes(file: Path, tmp_path: Path) -> None:
    """Reading and moving the directory change nothing."""
    before = content_key([file])
    file.read_bytes()
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    assert content_key([moved / "a.png"]) == before
    moved.rename(tmp_path)


def _in_place(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.write(b"two")


def _replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"two")
    os.utime(other, (0, 0))
    other.replace(path)


def _deleted_first(path: Path) -> None:
    path.unlink()
    path.write_bytes(b"two")


@pytest.mark.parametrize("change", [_in_place, _replaced, _deleted_first])
def test_another_content_of_equal_size_and_time(file: Path, change: Callable[[Path], None]) -> None:
    """Written in place, replaced or deleted and made again, size and time as they were: another key."""
    before = content_key([file])
    before.settle()
    change(file)
    os.utime(file, (0, 0))
    assert file.stat().st_mtime == 0
    assert content_key([file]).digest != before.digest


def test_copies_have_keys_of_their_own(file: Path) -> None:
    """A copy with its times kept may differ in a byte: nobody looked."""
    copy = file.with_name("b") / "a.png"
    copy.parent.mkdir()
    shutil.copy2(file, copy)
    assert content_key([copy]).digest != content_key([file]).digest


def test_order_and_what_else_matters(file: Path) -> None:
    """The same files in another order, or for another purpose, are another key."""
    other = file.with_name("b.png")
    other.write_bytes(b"three")
    keys = [content_key(paths, also=also) for paths in ([file, other], [other, file]) for also in ("", "x")]
    assert len({key.digest for key in keys}) == 4


def test_where_times_are_whole_seconds_bytes_decide(file: Path) -> None:
    """An image such as squashfs keeps what its maker set: the content is read, or the key is not certain."""
    facts = file.stat()

    def coarse(path: object) -> os.stat_result:
        return os.stat_result((*facts[:10],), {"st_mtime_ns": 0, "st_ctime_ns": 5_000_000_000})

    before, unread = content_key([file], stat=coarse), content_key([file], read=False, stat=coarse)
    file.write_bytes(b"two")
    assert content_key([file], stat=coarse).digest != before.digest
    assert (before.certain, unread.certain) == (True, False)
