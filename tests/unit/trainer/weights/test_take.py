"""Adding files and reading them again: which name a file gets, what is refused, what is found out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.trainer.weights.files import published, saved
from trainer.base.errors import WeightsError
from trainer.spec.catalogue.weights_list import PretrainedWeights
from trainer.storage.layout import Storage
from trainer.storage.weights import StoredWeights, WeightsFolder, is_weights_name
from trainer.weights.take import add, verify
from trainer.weights.tensors import read_tensors

CONTENT, OTHER = saved(), saved({"x": torch.zeros(3)})
PINNED = published(CONTENT, "http://h/pre/tiny-1234.pth", name="tiny")
OPEN = published(OTHER, "http://h/pre/open.pth", name="open", pinned=False, layout="beit")
LIST = {each.name: each for each in (PINNED, OPEN)}


@pytest.fixture
def folder(tmp_path: Path) -> WeightsFolder:
    return WeightsFolder(Storage.at(tmp_path / "storage"))


def put(tmp_path: Path, name: str, content: bytes = CONTENT) -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def taken(path: Path, folder: WeightsFolder, **options: Any) -> StoredWeights:
    return add(path, folder, **{"name": None, "layout": None, "published": LIST, **options})


@pytest.mark.parametrize(
    ("file", "content", "options", "name", "layout"),
    [
        ("any.pth", CONTENT, {}, "tiny", "mmseg"),
        ("tiny-1234.pth", CONTENT, {"name": "tiny"}, "tiny", "mmseg"),
        ("open.pth", OTHER, {}, "open", "beit"),
        ("open.pth", OTHER, {"layout": "mmseg"}, "open", "mmseg"),
        ("my best, of May.pth", OTHER, {}, "my_best_of_May", "mmseg"),
        ("epoch_3.pth", OTHER, {"name": "mine-3", "layout": "swin"}, "mine-3", "swin"),
    ],
)
def test_the_name_of_a_file(
    file: str, content: bytes, options: Any, name: str, layout: str, tmp_path: Path, folder: WeightsFolder
) -> None:
    """By its hash, by what it is called where no hash is known, by what is asked, by its own; once each."""
    path = put(tmp_path, file, content)
    stored = taken(path, folder, check=read_tensors, **options)
    assert (stored.name, stored.note.layout, stored.note.source) == (name, layout, file)
    assert folder.find(name) == stored == taken(path, folder, **options)
    assert stored.file.read_bytes() == content == path.read_bytes()
    assert folder.names() == [name]


@pytest.mark.parametrize(
    ("file", "content", "options", "words"),
    [
        ("tiny-1234.pth", OTHER, {}, "called as tiny is, and is another file"),
        ("x.pth", OTHER, {"name": "tiny"}, "called as tiny is, and is another file"),
        ("x.pth", CONTENT, {"name": "mine"}, "--name mine: the file is tiny"),
        ("x.pth", CONTENT, {"layout": "swin"}, "--layout swin: tiny has the layout mmseg"),
        ("x.pth", OTHER, {"name": "../x"}, "--name: '../x' is refused"),
        ("x.pth", OTHER, {"name": "none"}, "--name: 'none' is refused"),
        ("x.pth", OTHER, {"name": ""}, "--name: '' is refused"),
        ("ö.pth", OTHER, {}, "the file's name: '' is refused"),
        ("x.pth", b"<html>", {}, "x.pth is a page of text"),
    ],
)
def test_what_is_refused(
    file: str, content: bytes, options: Any, words: str, tmp_path: Path, folder: WeightsFolder
) -> None:
    """With what is allowed, and nothing is copied."""
    with pytest.raises(WeightsError, match=words):
        taken(put(tmp_path, file, content), folder, **options)
    assert folder.folder.names() == []


def test_no_file_takes_the_place_of_another(tmp_path: Path, folder: WeightsFolder) -> None:
    """Experiments may have been trained with the one that is there."""
    taken(put(tmp_path, "mine.pth", OTHER), folder)
    with pytest.raises(WeightsError, match="mine: other weights lie there"):
        taken(put(tmp_path, "mine.pth", saved({"y": torch.ones(9)})), folder)
    assert folder.file("mine").read_bytes() == OTHER


def test_a_whole_folder_is_verified(tmp_path: Path, folder: WeightsFolder) -> None:
    """What is as it was; what was changed, which is used no more, and is mended by adding it again."""
    path = put(tmp_path, "mine.pth", OTHER)
    for each in (path, put(tmp_path, "any.pth")):
        taken(each, folder)
    assert [verify(name, folder, LIST) for name in folder.names()] == [None, None]
    changed = bytes(OTHER[:-1]) + b"x"
    folder.file("mine").write(changed)
    assert folder.find("mine") is not None  # of the same size: only reading tells
    assert "it is not used any more" in str(verify("mine", folder, LIST))
    assert folder.find("mine") is None
    assert folder.is_unchecked("mine")
    assert "put there by hand" in str(verify("mine", folder, LIST))
    taken(path, folder)
    assert verify("mine", folder, LIST) is None


def test_a_file_of_another_size_counts_as_unchecked(tmp_path: Path, folder: WeightsFolder) -> None:
    """Without reading it."""
    taken(put(tmp_path, "mine.pth", OTHER), folder)
    folder.file("mine").write(OTHER[:-9])
    assert folder.find("mine") is None
    assert folder.is_unchecked("mine")


@pytest.mark.parametrize(("content", "known"), [(CONTENT, True), (OTHER, False)])
def test_files_put_there_by_hand(content: bytes, known: bool, folder: WeightsFolder) -> None:
    """A published one is taken over, by its hash; another is not."""
    folder.file("tiny").write(content)
    assert folder.find("tiny") is None
    problem = verify("tiny", folder, LIST)
    assert (problem is None, folder.find("tiny") is not None) == (known, known)
    if problem is not None:
        assert "`rebalance weights fetch tiny`" in problem


def test_a_part_is_no_file(folder: WeightsFolder) -> None:
    """Verifying says how to go on with it."""
    folder.folder.file("tiny.part").write(CONTENT[:9])
    assert folder.names() == ["tiny"]
    assert "fetch tiny` goes on with it" in str(verify("tiny", folder, LIST))


@pytest.mark.parametrize(
    "name", ["", ".x", "a/b", "..", "a\n", "none", "Pretrained", "x.part", "x.pth", "a" * 101, "é"]
)
def test_names_that_are_none(name: str, folder: WeightsFolder) -> None:
    """They can be asked for, and lead nowhere."""
    assert not is_weights_name(name)
    assert folder.find(name) is None
    assert not folder.is_unchecked(name)
    assert folder.arrived(name) == 0
    with pytest.raises(ValueError, match="is no name of weights"):
        folder.file(name)


@pytest.mark.parametrize(
    "note", [b"", b"{}", b"\xff", b'{"sha256": "x", "size": 1, "layout": "", "source": ""}']
)
def test_a_damaged_note_is_none(note: bytes, folder: WeightsFolder) -> None:
    """The file counts as unchecked, until it is read again."""
    folder.file("tiny").write(CONTENT)
    folder.folder.file("tiny.json").write(note)
    assert folder.find("tiny") is None
    assert verify("tiny", folder, LIST) is None


def test_digits_are_compared_from_the_first() -> None:
    """A published file is known by the digits that its name ends with."""
    weights = PretrainedWeights("a", (), "1234abcd", "mmseg", "")
    assert weights.is_digest("1234abcd" + "0" * 56)
    assert not weights.is_digest("01234abcd" + "0" * 55)
