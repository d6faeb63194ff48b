"""What stands in a split's directories is used or named: nothing is passed over."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.data_factories import make_spec, write_folder, write_pair
from trainer.base.errors import DataError, SpecError
from trainer.data.folders import resolve_spec
from trainer.data.listing import printable_name
from trainer.data.mask_layouts import find_masks
from trainer.data.splits import list_pairs, split_facts
from trainer.storage.layout import Storage


def _dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to(f"../../.git/annex/objects/{path.name}")


def _circle(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_dangling, "that link to nothing"),
        (_circle, "that cannot be read (Too many levels of symbolic links)"),
        (_directory, "that are directories"),
        (_pipe, "that are no files"),
    ],
)
@pytest.mark.parametrize("part", ["images", "annotations"])
def test_what_is_no_file_is_told(
    tmp_path: Path, part: str, spoil: Callable[[Path], None], words: str
) -> None:
    """Also where picture and mask are both gone, which would leave a smaller data set without a word."""
    root = write_folder(tmp_path)
    for each in ("images", "annotations") if part == "images" else ("annotations",):
        spoil(root / each / "train" / "p1.png")
    noun = "picture file" if part == "images" else "mask file"
    assert f"1 {noun} (p1.png) {words}" in str(split_facts(root, "train").faults)
    with pytest.raises(DataError, match=r"p1\.png"):
        list_pairs(root, "train")


def test_pairs_of_a_format_that_is_not_read_are_told(tmp_path: Path) -> None:
    """Picture and mask as TIFF would be missing without a word; originals beside PNGs are passed over."""
    root = write_folder(tmp_path)
    for part in ("images", "annotations"):
        picture = root / part / "train" / "p1.png"
        shutil.copy(picture, picture.with_suffix(".tif"))
    assert not split_facts(root, "train").faults
    for part in ("images", "annotations"):
        (root / part / "train" / "p1.png").unlink()
    assert split_facts(root, "train").faults[0] == (
        "1 picture file (p1.tif) of a format that is not read",
        "pictures as .jpg, .jpeg or .png, masks as .png",
    )
    with pytest.raises(DataError, match=r"p1\.tif"):
        list_pairs(root, "train")


@pytest.mark.parametrize(
    ("dataset", "split", "ending"),
    [("ade20k", "training", ".png"), ("cocostuff164k", "train2017", "_labelTrainIds.png")],
)
def test_layouts_that_only_count_are_as_strict(tmp_path: Path, dataset: str, split: str, ending: str) -> None:
    """`trainer.count` names links to nothing in each layout it knows."""
    for part, name in (("images", "p.jpg"), ("annotations", f"p{ending}")):
        (tmp_path / part / split).mkdir(parents=True)
        (tmp_path / part / split / name).symlink_to("nowhere")
    with pytest.raises(DataError, match=r"1 picture file \(p\.jpg\) that link to nothing; 1 mask file"):
        find_masks(dataset, tmp_path, None, storage=Storage(tmp_path), say=print)


def _renamed(root: Path, name: bytes) -> None:
    for part in ("images", "annotations"):
        directory = root / part / "train"
        (directory / "p1.png").rename(directory / os.fsdecode(name))


def test_names_that_are_no_text_are_refused_by_name(tmp_path: Path) -> None:
    """Latin-1 names, whether they pair or not, are told in letters that anything can print."""
    root = write_folder(tmp_path)
    _renamed(root, b"stra\xdfe.png")
    text = str(split_facts(root, "train").faults)
    assert "1 picture file (stra\\\\xdfe.png) with a name that is not UTF-8" in text
    (root / "annotations" / "train" / os.fsdecode(b"stra\xdfe.png")).unlink()
    spec = make_spec(dataset={"name": "folder", "root": str(root)}, schedule={"crop_size": [32, 32]})
    with pytest.raises(SpecError) as caught:
        resolve_spec(spec, data_roots=None)
    assert "stra\\xdfe.png" in str(caught.value)
    str(caught.value).encode()


@pytest.mark.parametrize(
    "name", ["straße", "a b", "tab\there", "line\nend", "50%", "é", "名前", "-x", "a;b'c\"d"]
)
def test_any_text_is_a_name(tmp_path: Path, name: str) -> None:
    """Names in UTF-8 work, whatever they hold; in messages what cannot be seen is escaped."""
    root = write_folder(tmp_path)
    _renamed(root, f"{name}.png".encode())
    assert split_facts(root, "train").faults == ()
    assert sorted(pair.picture.stem for pair in list_pairs(root, "train")) == sorted(["p0", name])
    assert printable_name(name).isprintable()


@pytest.mark.parametrize(("picture", "mask"), [("Photo", "photo"), ("e\u0301", "é")])
def test_names_that_nearly_pair(tmp_path: Path, picture: str, mask: str) -> None:
    """Where case or Unicode's normal form keeps two names apart, the message says so."""
    root = write_folder(tmp_path)
    (root / "images" / "val" / "p0.png").rename(root / "images" / "val" / f"{picture}.png")
    (root / "annotations" / "val" / "p0.png").rename(root / "annotations" / "val" / f"{mask}.png")
    text = str(split_facts(root, "val").faults)
    assert "without a mask (1 would pair but for upper case or Unicode's normal forms)" in text


def test_names_apart_by_case_only(tmp_path: Path) -> None:
    """They are two pairs: each picture has its own mask."""
    root = write_folder(tmp_path)
    write_pair(root, "val", "P0", np.ones((32, 48), np.uint8))
    assert split_facts(root, "val").faults == ()
    assert [(pair.picture.name, pair.mask.name) for pair in list_pairs(root, "val")] == [
        ("P0.png", "P0.png"),
        ("p0.png", "p0.png"),
    ]


def test_a_split_and_classes_that_link_to_nothing(tmp_path: Path) -> None:
    """Said so, and not only that they are missing."""
    root = write_folder(tmp_path)
    spec = make_spec(dataset={"name": "folder", "root": str(root)}, schedule={"crop_size": [32, 32]})
    shutil.rmtree(root / "annotations" / "val")
    (root / "annotations" / "val").symlink_to("nowhere")
    (root / "classes.txt").unlink()
    (root / "classes.txt").symlink_to("nowhere")
    with pytest.raises(SpecError) as caught:
        resolve_spec(spec, data_roots=None)
    assert "/dataset/root: classes.txt links to nothing" in str(caught.value)
    assert "/dataset/eval_split: there is no directory annotations/val: it is a link to nothing" in str(
        caught.value
    )


def test_classes_that_were_not_fetched(tmp_path: Path) -> None:
    """Three lines of a Git LFS pointer are not three classes."""
    root = write_folder(tmp_path)
    (root / "classes.txt").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 3\n")
    spec = make_spec(dataset={"name": "folder", "root": str(root)}, schedule={"crop_size": [32, 32]})
    with pytest.raises(SpecError, match="Git LFS pointers"):
        resolve_spec(spec, data_roots=None)


def test_files_one_level_too_deep_are_told(tmp_path: Path) -> None:
    """Pictures in a directory beside others would be left out; other directories may be there."""
    root = write_folder(tmp_path)
    for name in ("notes", ".cache", "aachen"):
        (root / "images" / "train" / name).mkdir()
        (root / "images" / "train" / name / ("a.txt" if name == "notes" else "a.png")).write_bytes(b"")
    ((got, _),) = split_facts(root, "train").faults
    assert got.startswith("1 picture file (aachen) that are directories with such files in them")
