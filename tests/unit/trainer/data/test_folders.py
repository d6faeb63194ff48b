"""Roots, splits, names, headers: what a POST can tell of a folder data set."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data_factories import png_bytes, spec_document, write_folder, write_pair
from trainer.base.errors import DataError, SpecError
from trainer.data import splits
from trainer.data.class_names import read_classes
from trainer.data.folders import resolve_spec, scaled_size
from trainer.spec.data.datasets import DATASETS
from trainer.spec.spec import ExperimentSpec, parse_spec


def folder_spec(root: Path | str, *, crop: tuple[int, int] = (32, 32), **changes: object) -> ExperimentSpec:
    dataset = {"name": "folder", "root": str(root), **changes}
    return parse_spec(spec_document(dataset=dataset, schedule={"crop_size": list(crop)}))


def problems(spec: ExperimentSpec, data_roots: list[Path] | None) -> list[tuple[str, str]]:
    with pytest.raises(SpecError) as caught:
        resolve_spec(spec, data_roots=data_roots)
    return [(problem.pointer, problem.got) for problem in caught.value.problems]


def only(spec: ExperimentSpec, data_roots: list[Path] | None) -> tuple[str, str]:
    [problem] = problems(spec, data_roots)
    return problem


def test_built_in_data_set_is_left_alone() -> None:
    """digit_scenes has no files to check: the very spec comes back."""
    spec = parse_spec(spec_document())
    assert resolve_spec(spec, data_roots=[]) is spec


def test_good_folder_gets_a_real_root(tmp_path: Path) -> None:
    """A root given through a link and `..` becomes the real directory; nothing else changes."""
    root = write_folder(tmp_path / "data" / "mine")
    (tmp_path / "data" / "link").symlink_to("mine")
    spec = folder_spec(tmp_path / "data" / "other" / ".." / "link")
    resolved = resolve_spec(spec, data_roots=[tmp_path / "data"])
    assert resolved.dataset.root == str(root)  # type: ignore[union-attr]
    assert resolved.schedule == spec.schedule
    assert resolve_spec(resolved, data_roots=[tmp_path / "data"]) == resolved


def test_any_root_for_jobs_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a list of data roots a relative root is taken from the working directory."""
    root = write_folder(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert resolve_spec(folder_spec("mine"), data_roots=None).dataset.root == str(root)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("/", "lies outside"),
        ("{roots}/../secret", "lies outside"),
        ("{roots}/link_out", "lies outside"),
        ("/no/such/place", "lies outside"),
        ("{roots}_sibling", "lies outside"),
        ("{roots}/missing", "does not exist"),
        ("{roots}/file", "is not a directory"),
        ("relative", "is not an absolute path"),
        ("/a\0b", "cannot be a path"),
        ("{roots}/" + 300 * "n", "cannot be read (File name too long)"),
    ],
)
def test_refused_roots(tmp_path: Path, given: str, reason: str) -> None:
    """Roots outside the allowed ones, also through a link, and roots that are no directory are refused."""
    roots = tmp_path / "roots"
    roots.mkdir()
    write_folder(tmp_path / "secret")
    write_folder(tmp_path / "roots_sibling")
    (roots / "link_out").symlink_to(tmp_path / "secret")
    (roots / "file").write_text("x")
    pointer, got = only(folder_spec(given.format(roots=roots)), [roots])
    assert pointer == "/dataset/root"
    assert reason in got


def test_no_data_roots_allow_nothing(tmp_path: Path) -> None:
    """A service without data roots refuses every folder and says how to allow one."""
    root = write_folder(tmp_path)
    with pytest.raises(SpecError, match="--data-root"):
        resolve_spec(folder_spec(root), data_roots=[])


@pytest.mark.parametrize("what", ["images/train", "annotations/val", "classes.txt", "images/train/p0.png"])
def test_links_inside_the_root_may_not_leave(tmp_path: Path, what: str) -> None:
    """A split, picture or classes.txt that links out of the allowed roots is refused, its content untold."""
    secret = write_folder(tmp_path / "secret", classes=("top", "secret", "names"))
    root = write_folder(tmp_path / "roots" / "mine")
    path = root / what
    path.rename(path.with_name("moved_away"))
    path.symlink_to(secret / what)
    (root / "images" / "train" / "moved_away").unlink(missing_ok=True)
    found = problems(folder_spec(root), [tmp_path / "roots"])
    assert any("outside" in got for _, got in found)
    assert "secret" not in str(found)


def test_camvid_is_found_in_a_data_root(tmp_path: Path) -> None:
    """camvid needs no root: the first data root that is CamVid, or holds it, is taken."""
    names = DATASETS["camvid"].classes
    assert names is not None
    masks = [np.zeros((48, 64), np.uint8)]
    write_folder(tmp_path / "b" / "camvid", {"train": masks, "test": masks}, classes=names)
    write_folder(tmp_path / "a" / "camvid", {"train": masks, "test": masks})
    spec = parse_spec(spec_document(dataset="camvid", schedule={"crop_size": [16, 16]}))
    for roots in ([tmp_path / "a", tmp_path / "b"], [tmp_path / "b" / "camvid"]):
        resolved = resolve_spec(spec, data_roots=roots)
        assert resolved.dataset.root == str(tmp_path / "b" / "camvid")  # type: ignore[union-attr]
    assert only(spec, [tmp_path / "a"])[0] == "/dataset/root"
    assert only(spec, None)[0] == "/dataset/root"


def test_camvid_with_other_classes(tmp_path: Path) -> None:
    """A root given for camvid whose classes.txt is not CamVid's is refused."""
    masks = [np.zeros((48, 64), np.uint8)]
    root = write_folder(tmp_path / "x", {"train": masks, "test": masks})
    dataset = {"name": "camvid", "root": str(root)}
    spec = parse_spec(spec_document(dataset=dataset, schedule={"crop_size": [16, 16]}))
    assert "is not that of camvid" in only(spec, [tmp_path])[1]


def test_unknown_split_lists_the_known(tmp_path: Path) -> None:
    """A split that is not there is named at its own pointer, with those that are."""
    root = write_folder(tmp_path)
    with pytest.raises(SpecError) as caught:
        resolve_spec(folder_spec(root, train_split="trian", eval_split="none"), data_roots=None)
    assert list(map(str, caught.value.problems)) == [
        "/dataset/train_split: there is no directory images/trian or annotations/trian; allowed: train, val",
        "/dataset/eval_split: there is no directory images/none or annotations/none; allowed: train, val",
    ]
    (root / "images" / "extra").mkdir()
    (problem,) = problems(folder_spec(root, train_split="extra"), None)
    assert problem == ("/dataset/train_split", "there is no directory annotations/extra")


def test_pairs_by_stem(tmp_path: Path) -> None:
    """JPG, JPEG and PNG, upper case too, pair with PNG masks by stem; palette masks and hidden files pass."""
    root = write_folder(tmp_path)
    ids = np.zeros((32, 48), np.uint8)
    write_pair(root, "train", "q.v2", ids, suffix=".JPG", palette=True)
    write_pair(root, "train", "r", ids, suffix=".jpeg")
    (root / "images" / "train" / ".DS_Store").write_text("x")
    (root / "annotations" / "train" / "notes.txt").write_text("x")
    resolve_spec(folder_spec(root), data_roots=None)
    pairs = splits.list_pairs(root, "train")
    assert [pair.picture.name for pair in pairs] == ["p0.png", "p1.png", "q.v2.JPG", "r.jpeg"]
    assert all(pair.picture.stem == pair.mask.stem for pair in pairs)


def test_broken_pairs_are_counted_and_named(tmp_path: Path) -> None:
    """Pictures without masks, masks without pictures and doubled stems: counts and the first offenders."""
    root = write_folder(tmp_path)
    train = root / "images" / "train"
    for number in range(5):
        (train / f"lonely{number}.png").write_bytes((train / "p0.png").read_bytes())
    (root / "annotations" / "train" / "widow.png").write_bytes(b"")
    (train / "p0.jpg").write_bytes(b"")
    text = str(problems(folder_spec(root), None))
    assert "5 pictures (lonely0.png, lonely1.png, lonely2.png, …) without a mask" in text
    assert "1 mask (widow.png) without a picture" in text
    assert "1 file (p0.png) beside another of the same stem" in text
    with pytest.raises(DataError, match="5 pictures"):
        splits.list_pairs(root, "train")


def test_empty_split(tmp_path: Path) -> None:
    """A split without pictures is refused."""
    root = write_folder(tmp_path)
    for path in root.glob("*/val/*"):
        path.unlink()
    assert only(folder_spec(root), None) == ("/dataset/eval_split", "has no pictures")


@pytest.mark.parametrize(
    ("depth", "colour", "words"),
    [
        (1, 0, "1-bit grey"),
        (4, 0, "4-bit grey"),
        (16, 0, "16-bit grey"),
        (4, 3, "4-bit palette"),
        (8, 2, "8-bit RGB"),
    ],
)
def test_mask_formats(tmp_path: Path, depth: int, colour: int, words: str) -> None:
    """Masks other than 8-bit grey or palette are refused: below 8 bits their ids would be read scaled."""
    root = write_folder(tmp_path)
    (root / "annotations" / "val" / "p0.png").write_bytes(png_bytes(48, 32, depth=depth, colour=colour))
    pointer, got = only(folder_spec(root), None)
    assert pointer == "/dataset/eval_split"
    assert words in got


def test_headers(tmp_path: Path) -> None:
    """Files that are no pictures, rotated ones, and masks of another size are each told."""
    root = write_folder(tmp_path)
    ids = np.zeros((32, 48), np.uint8)
    for stem in ("text", "rotated", "large", "nomask"):
        write_pair(root, "val", stem, ids, suffix=".jpg")
    images, masks = root / "images" / "val", root / "annotations" / "val"
    (images / "text.jpg").write_text("not a picture")
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (48, 32)).save(images / "rotated.jpg", exif=exif)
    Image.new("L", (32, 48)).save(masks / "large.png")
    (masks / "nomask.png").write_bytes(b"\x89PNG\r\n\x1a\nshort")
    text = str(problems(folder_spec(root), None))
    for words in (
        "(text.jpg) that cannot be opened",
        "(rotated.jpg) with an EXIF",
        "(large.png: 32×48, not 48×32) not of their",
    ):
        assert words in text
    assert "(nomask.png) whose content is cut short" in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        (b"", "has 0 lines"),
        (b"\n\n", "has 0 lines"),
        (b"only\n", "has 1 line"),
        (b"a\n\nb\n", "line 2 is empty"),
        (b"a\nb\n a \n", "'a' is in lines 1 and 3"),
        (b"\xff\xfe", "is not UTF-8"),
        ("\n".join(map(str, range(256))).encode(), "has 256 lines"),
    ],
)
def test_bad_classes(tmp_path: Path, content: bytes | None, words: str) -> None:
    """classes.txt must be 2 to 255 non-empty unique lines."""
    root = write_folder(tmp_path)
    if content is None:
        (root / "classes.txt").unlink()
    else:
        (root / "classes.txt").write_bytes(content)
    pointer, got = only(folder_spec(root), None)
    assert pointer == "/dataset/root"
    assert words in got


def test_classes_with_windows_line_ends(tmp_path: Path) -> None:
    """A byte order mark, CRLF and a missing last line end change no name."""
    (tmp_path / "classes.txt").write_bytes("\ufeffroad\r\ntree, tall\r\nCafé".encode())
    assert read_classes(tmp_path) == ("road", "tree, tall", "Café")


def test_classes_that_are_a_pipe(tmp_path: Path) -> None:
    """A named pipe in place of classes.txt is refused, not waited for."""
    os.mkfifo(tmp_path / "classes.txt")
    with pytest.raises(DataError, match="is not a file"):
        read_classes(tmp_path)


def test_crop_above_a_common_size(tmp_path: Path) -> None:
    """Where all pictures have one size, a crop above it after scaling is refused; where not, it may be."""
    root = write_folder(tmp_path)
    assert only(folder_spec(root, crop=(32, 49)), None)[0] == "/schedule/crop_size/1"
    assert only(folder_spec(root, crop=(17, 24), scale=0.5), None)[0] == "/schedule/crop_size/0"
    resolve_spec(folder_spec(root, crop=(16, 24), scale=0.5), data_roots=None)
    write_pair(root, "val", "wide", np.zeros((16, 200), np.uint8))
    resolve_spec(folder_spec(root, crop=(64, 64)), data_roots=None)


def test_scaled_size() -> None:
    """Sides are rounded half up and never vanish."""
    assert scaled_size((360, 480), 0.5) == (180, 240)
    assert scaled_size((5, 1), 0.5) == (3, 1)
    assert scaled_size((5, 5), 0.01) == (1, 1)


def test_good_news_is_kept_bad_news_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second look at unchanged directories opens no file; a mask put right in place is seen at once."""
    root = write_folder(tmp_path)
    mask = root / "annotations" / "train" / "p0.png"
    good = mask.read_bytes()
    mask.write_bytes(b"bad")
    assert only(folder_spec(root), None)[0] == "/dataset/train_split"
    mask.write_bytes(good)
    resolve_spec(folder_spec(root), data_roots=None)

    def no_more(*_: object) -> None:
        pytest.fail("headers were read again")

    monkeypatch.setattr(splits, "_read_split", no_more)
    resolve_spec(folder_spec(root), data_roots=None)


def test_a_new_file_is_seen(tmp_path: Path) -> None:
    """Adding a picture without a mask after a good answer is noticed."""
    root = write_folder(tmp_path)
    resolve_spec(folder_spec(root), data_roots=None)
    images = root / "images" / "train"
    (images / "new.png").write_bytes(b"")
    os.utime(images, ns=(1, images.stat().st_mtime_ns + 1))  # file systems may be coarse in time
    assert "new.png" in only(folder_spec(root), None)[1]


def test_real_camvid(camvid: Path) -> None:
    """CamVid's three splits pass every check, and its pictures have one size."""
    spec = parse_spec(spec_document(dataset="camvid"))
    assert resolve_spec(spec, data_roots=[camvid.parent]).dataset.root == str(camvid)  # type: ignore[union-attr]
    facts = [splits.split_facts(camvid, split) for split in ("train", "val", "test")]
    assert [(one.pairs, one.picture_size) for one in facts] == [(n, (360, 480)) for n in (367, 101, 233)]
