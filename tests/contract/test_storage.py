"""The storage port: one suite for the fake in memory and for a directory."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import pytest

from tests.fakes import MemoryFolder
from trainer.storage.port import StoredFolder
from trainer.storage.posix import PosixFolder


@pytest.fixture(params=["memory", "posix"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> StoredFolder:
    return MemoryFolder() if request.param == "memory" else PosixFolder(tmp_path / "storage")


def test_what_was_written_is_read(root: StoredFolder) -> None:
    """Text is UTF-8; folders on the way are made; a name with a path in it leads below."""
    file = root.folder("runs").folder("e1").file("report.json")
    assert not file.exists()
    file.write("Straße\n")
    assert (file.exists(), file.size(), file.name) == (True, 8, "report.json")
    assert file.read_text() == "Straße\n"
    assert root.file("runs/e1/report.json").read_bytes() == "Straße\n".encode()
    assert file.local.read_bytes() == file.read_bytes()
    assert str(file).endswith("runs/e1/report.json")


def test_a_part_is_read_by_offset(root: StoredFolder) -> None:
    """From a byte on, up to a byte, and past the end."""
    file = root.file("log.txt")
    file.write(b"0123456789")
    assert file.read_bytes(3) == b"3456789"
    assert file.read_bytes(3, 5) == b"34"
    assert file.read_bytes(8, 99) == b"89"
    assert file.read_bytes(99) == b""


def test_what_is_not_there(root: StoredFolder) -> None:
    """Reading says so; asking for size, time, lines and names answers with nothing; deleting is done."""
    file = root.folder("no").file("such")
    with pytest.raises(FileNotFoundError):
        file.read_bytes()
    with pytest.raises(FileNotFoundError):
        file.read_text()
    assert (file.size(), file.modified_ns(), list(file.lines())) == (0, None, [])
    file.delete()
    folder = root.folder("no")
    assert (folder.exists(), folder.names(), folder.modified_ns()) == (False, [], None)


def test_shared_content_lasts_longer_than_where_it_came_from(root: StoredFolder) -> None:
    """It replaces what was there, in a folder that is made; the first file may change or go."""
    first, second = root.file("runs/old/iter_4.pth"), root.file("runs/new/checkpoints/iter_4.pth")
    with pytest.raises(FileNotFoundError):
        first.share(second)
    assert not second.exists()
    first.write(b"weights")
    first.share(second)
    first.share(second)
    first.write(b"others")
    assert second.read_bytes() == b"weights"
    first.delete()
    assert second.read_bytes() == b"weights"
    assert root.folder("runs/new/checkpoints").names() == ["iter_4.pth"]


def test_lines_come_one_by_one(root: StoredFolder) -> None:
    """Also the last one, without its end; from a byte on."""
    file = root.file("metrics.jsonl")
    file.write(b"one\ntwo\nthr")
    assert list(file.lines()) == [b"one\n", b"two\n", b"thr"]
    assert list(file.lines(4)) == [b"two\n", b"thr"]


def test_appending_goes_to_the_end_at_once(root: StoredFolder) -> None:
    """A reader sees each write when it returns; a second writer adds to what is there."""
    file = root.folder("a").file("log.txt")
    for text in (b"first\n", b"second\n"):
        with closing(file.appending()) as stream:
            stream.write(text)
            assert file.read_bytes().endswith(text)
    assert file.read_bytes() == b"first\nsecond\n"


def test_a_block_that_fails_leaves_the_old_content(root: StoredFolder) -> None:
    """What is being written is in no list, and is not there if writing fails."""
    file = root.file("iter_1.pth")
    file.write(b"old")

    def fail() -> None:
        with file.writing() as stream:
            stream.write(b"half")
            assert root.names() == ["iter_1.pth"]
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match=r"(?i)no space"):
        fail()
    assert file.read_bytes() == b"old"
    assert root.names() == ["iter_1.pth"]
    with file.writing() as stream:
        stream.write(b"new")
        assert file.read_bytes() == b"old"
    assert file.read_bytes() == b"new"


def test_a_renamed_file_takes_the_other_ones_place(root: StoredFolder) -> None:
    """The name beside it has its content, whatever was there; without a file nothing changes."""
    folder = root.folder("weights")
    folder.file("a.part").write(b"new")
    folder.file("a.pth").write(b"old")
    assert folder.file("a.part").rename("a.pth").read_bytes() == b"new"
    assert folder.names() == ["a.pth"]
    with pytest.raises(FileNotFoundError):
        folder.file("a.part").rename("a.pth")
    assert folder.file("a.pth").read_bytes() == b"new"


def test_names_and_times_follow_what_is_added_and_removed(root: StoredFolder) -> None:
    """A folder's time moves when something is added to it or removed from it."""
    folder = root.folder("trials")
    folder.make()
    folder.make()
    assert folder.exists()
    folder.file("0001.json").write("{}")
    folder.folder("more").file("x").write("")
    before = folder.modified_ns()
    assert folder.names() == ["0001.json", "more"]
    assert before is not None
    folder.file("0001.json").delete()
    assert folder.names() == ["more"]
    after = folder.modified_ns()
    assert after is not None
    assert after >= before


def test_a_published_folder_is_filled_once(root: StoredFolder) -> None:
    """The second one finds it; one that fails leaves nothing."""
    filled: list[int] = []

    def fill(path: Path) -> None:
        path.mkdir()
        (path / "classes.txt").write_text("a\n")
        filled.append(1)
        if len(filled) == 1:
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        root.publish("scenes", fill)
    assert root.names() == []
    for _ in range(2):
        assert root.publish("scenes", fill).file("classes.txt").read_text() == "a\n"
    assert len(filled) == 2
    assert root.names() == ["scenes"]


def test_two_may_publish_at_once(root: StoredFolder) -> None:
    """Both fill it, one's stays, and both find it whole."""
    both = threading.Barrier(2)
    found: list[str] = []

    def fill(path: Path) -> None:
        both.wait(timeout=20)
        path.mkdir()
        (path / "x").write_text("whole")

    def one() -> None:
        found.append(root.publish("scenes", fill).file("x").read_text())

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert found == ["whole", "whole"]
    assert root.names() == ["scenes"]


def test_what_killed_writers_left_is_removed(root: StoredFolder) -> None:
    """What was finished stays; where there is no folder nothing happens."""
    root.folder("none").clear_unfinished()
    folder = root.folder("checkpoints")
    folder.file("iter_1.pth").write("whole")
    left = folder.local / ".iter_2.pth.abcd"
    left.write_text("hal")
    half = folder.local / ".export.efgh" / "made"
    half.mkdir(parents=True)
    (half / "model.onnx").write_text("hal")
    folder.clear_unfinished()
    assert folder.names() == ["iter_1.pth"]
    assert not any((folder.local / name).exists() for name in (left.name, half.parent.name))


def test_a_listing_has_every_file(root: StoredFolder) -> None:
    """Hidden and half-written ones too, each with its size; of a folder that is not there nothing."""
    assert list(root.folder("none").listing()) == []
    root.file("a/b/report.json").write("12345")
    root.file("a/.reserve").write("12")
    root.file(".half.abcd").write("1")
    found = {each.name: each for each in root.listing()}
    assert {name: each.bytes for name, each in found.items()} == {
        "a/b/report.json": 5,
        "a/.reserve": 2,
        ".half.abcd": 1,
    }
    assert found["a/b/report.json"].modified_ns == root.file("a/b/report.json").modified_ns()
    assert [each.name for each in root.listing(unfinished=True)] == [".half.abcd"]


def test_a_folder_goes_with_all_that_is_in_it(root: StoredFolder) -> None:
    """It can be filled again then; what lies beside it stays; there may be none."""
    root.file("beside.txt").write("here")
    made = root.publish("made", lambda path: _fill(path, "old"))
    made.folder("deeper").file("more.txt").write("more")
    made.delete()
    made.delete()
    assert (made.exists(), root.names()) == (False, ["beside.txt"])
    assert root.publish("made", lambda path: _fill(path, "new")).file("it.txt").read_text() == "new"


def test_a_stream_reads_what_was_there(root: StoredFolder) -> None:
    """From any place; a file that is replaced meanwhile is still read as it was."""
    file = root.file("best.pth")
    file.write(b"0123456789")
    with file.reading() as stream:
        assert stream.read(4) == b"0123"
        file.write(b"replaced")
        stream.seek(6)
        assert stream.read() == b"6789"
    file.delete()
    with pytest.raises(FileNotFoundError):
        file.reading()


def test_files_at_every_depth(root: StoredFolder) -> None:
    """Named as `file` takes them; folders are none."""
    names = ["README.md", "mlflow/MLmodel", "mlflow/data/model.pt2"]
    for name in names:
        root.folder("export").file(name).write(name)
    export = root.folder("export")
    assert export.files() == names
    assert [export.file(name).read_text() for name in export.files()] == names
    assert root.folder("nothing").files() == []


def _fill(path: Path, text: str) -> None:
    path.mkdir()
    (path / "it.txt").write_text(text)
