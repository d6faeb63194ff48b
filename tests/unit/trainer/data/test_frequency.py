"""Class frequencies: right, kept by content, and bad masks named."""

from __future__ import annotations

import io
import json
import os
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.data_factories import make_spec, png_bytes, write_folder, write_pair, write_public
from trainer.base.errors import DataError
from trainer.data import frequency
from trainer.data.folders import resolve_spec
from trainer.data.frequency import Frequencies, count, count_splits
from trainer.data.mask_layouts import MaskSet, find_masks, split_of
from trainer.data.prepare import PreparedData, prepare
from trainer.data.splits import list_pairs
from trainer.data.tally import Tally, count_chunk, count_masks
from trainer.results.metrics import imbalance_factor
from trainer.spec.data.datasets import Folder
from trainer.spec.data.label_map import as_stored, zero_is_void
from trainer.storage.layout import Storage

FIRST = np.array([[0, 0, 1], [255, 1, 1]])
SECOND = np.array([[0, 0, 0], [0, 255, 255]])


def prepared(root: Path, tmp_path: Path) -> PreparedData:
    return prepare(Folder(root=str(root)), Storage(tmp_path / "storage"), print)


def frequencies(root: Path, tmp_path: Path) -> Frequencies:
    return count_splits(prepared(root, tmp_path), Storage(tmp_path / "storage"))[0].frequencies


def test_counts_by_hand(tmp_path: Path) -> None:
    """Pixels and pictures per class of the training split; void counts nowhere, an absent class is 0."""
    root = write_folder(tmp_path / "d", {"train": [FIRST, SECOND], "val": [FIRST]})
    assert frequencies(root, tmp_path) == Frequencies(pixel=(6, 3, 0), region=(2, 1, 0), images=2)


def test_palette_masks_count_ids_not_colours(tmp_path: Path) -> None:
    """A palette mask is read by index."""
    root = write_folder(tmp_path / "d", {"train": [FIRST], "val": [FIRST]})
    write_pair(root, "train", "coloured", np.full((2, 3), 2), palette=True)
    assert frequencies(root, tmp_path).pixel == (2, 3, 6)


def test_kept_until_a_mask_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same files are counted once, wherever they lie; a changed mask is counted again."""
    root = write_folder(tmp_path / "d", {"train": [FIRST], "val": [FIRST]})
    before = frequencies(root, tmp_path)
    moved = root.rename(tmp_path / "moved")
    with monkeypatch.context() as patched:
        patched.setattr(frequency, "count_locally", lambda *_, **__: pytest.fail("counted twice"))
        assert frequencies(moved, tmp_path) == before
    write_pair(moved, "train", "p0", SECOND)
    os.utime(moved / "annotations" / "train" / "p0.png", ns=(1, 1))
    assert frequencies(moved, tmp_path) != before


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 2}', '{"format": 2, "pixel": [1], "region": [1], "images": 1}']
)
def test_spoilt_keepsake(tmp_path: Path, text: str) -> None:
    """A kept file that is cut short or not ours is counted anew and replaced."""
    root = write_folder(tmp_path / "d", {"train": [FIRST], "val": [FIRST]})
    right = frequencies(root, tmp_path)
    kept = list((tmp_path / "storage" / "frequencies").iterdir())
    assert len(kept) == 2, "one of each split"
    for path in kept:
        path.write_text(text)
    assert frequencies(root, tmp_path) == right
    assert [json.loads(path.read_text())["pixel"] for path in kept] == [list(right.pixel)] * 2


def test_bad_ids_are_counted_and_named_in_both_splits(tmp_path: Path) -> None:
    """Ids that are neither class nor void: how many masks, how many pixels of each, the first offenders."""
    bad = np.array([[3, 3, 200], [0, 0, 0]])
    root = write_folder(tmp_path / "d", {"train": [FIRST, *[bad] * 7], "val": [bad, FIRST]})
    with pytest.raises(DataError) as caught:
        frequencies(root, tmp_path)
    text = str(caught.value)
    assert "annotations/train: 7 of 8 masks" in text
    assert "3 (14 pixels), 200 (7 pixels)" in text
    assert "p1.png (id 3, 200)" in text
    assert "p7.png" not in text
    assert "annotations/val: 1 of 2 masks" in text
    assert not (tmp_path / "storage" / "frequencies").exists()
    lines: list[str] = []
    with pytest.raises(DataError):
        count(split_of(prepared(root, tmp_path), "train"), say=lines.append)
    assert lines == [f"annotations/train/p{number}.png: id 3, 200" for number in range(1, 8)]


def test_unreadable_masks(tmp_path: Path) -> None:
    """A truncated mask and one of another mode are named with the reason, not averaged over."""
    root = write_folder(tmp_path / "d")
    masks = root / "annotations" / "train"
    whole = (masks / "p0.png").read_bytes()
    (masks / "p0.png").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (48, 32)).save(masks / "p1.png")
    with pytest.raises(DataError, match=r"2 masks cannot be read, first: p0\.png: .*; p1\.png: is 8-bit RGB"):
        frequencies(root, tmp_path)


def test_all_void(tmp_path: Path) -> None:
    """A split without one valid pixel cannot be trained or scored on."""
    void = np.full((2, 3), 255)
    root = write_folder(tmp_path / "d", {"train": [void], "val": [FIRST]})
    with pytest.raises(DataError, match="every pixel of its 1 masks is void"):
        frequencies(root, tmp_path)


@pytest.mark.slow
def test_processes_change_nothing(tmp_path: Path) -> None:
    """Two processes count what one counts, and both what numpy counts."""
    rng = np.random.default_rng(0)
    masks = [rng.integers(0, 3, size=(4, 5)) for _ in range(210)]
    root = write_folder(tmp_path / "d", {"train": masks})
    paths = [pair.mask for pair in list_pairs(root, "train")]
    one, two = (count_masks(paths, as_stored(3), processes=n) for n in (1, 2))
    assert one == two
    assert one.images == 210
    assert one.pixel == np.bincount(np.concatenate(masks).ravel(), minlength=256).tolist()
    assert one.region == [sum(int((mask == k).any()) for mask in masks) for k in range(256)]


def any_tally(number: int) -> Tally:
    counts = np.random.default_rng(number).integers(0, 9, size=256)
    return Tally(counts.tolist(), (counts > 0).astype(int).tolist(), images=1)


@given(st.permutations(range(12)), st.integers(0, 12))
def test_halves_add_to_the_whole(order: list[int], cut: int) -> None:
    """However masks are dealt to workers, the sums of their tallies are the same."""
    first, second, whole = Tally(), Tally(), Tally()
    for position, index in enumerate(order):
        (first if position < cut else second).add(any_tally(index))
        whole.add(any_tally(index))
    first.add(second)
    assert first == whole
    assert whole.images == 12


@pytest.mark.parametrize(
    ("depth", "colour", "words"),
    [(1, 0, "1-bit grey"), (4, 0, "4-bit grey"), (2, 3, "2-bit palette"), (16, 0, "16-bit grey")],
)
def test_other_bit_depths_are_no_masks(tmp_path: Path, depth: int, colour: int, words: str) -> None:
    """PIL would scale or cut such ids: they are named instead."""
    path = tmp_path / "mask.png"
    path.write_bytes(png_bytes(8, 8, depth=depth, colour=colour))
    tally = count_chunk([str(path)], as_stored(255))
    assert tally.broken == [("mask.png", f"is {words}, wanted 8-bit grey or 8-bit palette")]
    assert not any(tally.pixel)
    assert tally.images == 0


@given(st.data())
def test_damage_is_a_reason_or_a_count(data: st.DataObject) -> None:
    """Whatever happened to a file, it is counted whole or named with a reason: no other error."""
    stream = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(stream, "PNG")
    content = bytearray(stream.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "mask.png"
        path.write_bytes(content)
        with warnings.catch_warnings():  # of a size that the damage made huge
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            tally = count_chunk([str(path)], as_stored(255))
    assert (tally.images, len(tally.broken)) in ((1, 0), (0, 1))
    assert all(name == "mask.png" and reason for name, reason in tally.broken)


def found(name: str, root: Path, split: str | None = None) -> MaskSet:
    return find_masks(name, root, split, storage=Storage(root), say=print)


def test_ade20k_ids_become_train_ids(tmp_path: Path) -> None:
    """0 is unlabelled; id k is class k - 1, which is the order of the table; 151 is no class."""
    ids = np.array([[0, 1, 1], [150, 2, 0]])
    root = write_public(tmp_path / "a", "training", ".png", [ids, ids])
    masks = found("ade20k", root)
    assert masks.classes[:2] == ("wall", "building")
    counted = count(masks).frequencies
    assert (counted.pixel[:3], counted.pixel[149], sum(counted.pixel)) == ((4, 2, 0), 2, 8)
    assert (counted.region[:3], counted.region[149], counted.images) == ((2, 2, 0), 2, 2)
    bad = write_public(tmp_path / "b", "training", ".png", [ids, ids + 1])
    with pytest.raises(DataError, match=r"other than 0 \(void\), 1 to 150, 255 \(void\): 151 \(1 pixels\)"):
        count(found("ade20k", bad))


@pytest.mark.parametrize(
    ("name", "split", "first"), [("cocostuff164k", "train2017", 0), ("cocostuff10k", "train2014", 1)]
)
def test_cocostuff_masks_are_known_by_their_suffix(tmp_path: Path, name: str, split: str, first: int) -> None:
    """Only …_labelTrainIds.png counts; 164k stores train ids, 10k train ids + 1 with 0 unlabelled."""
    ids = np.array([[first, first + 170, 255]])
    root = write_public(tmp_path / "d", split, "_labelTrainIds.png", [ids])
    Image.new("L", (3, 1), 200).save(root / "annotations" / split / "p0.png")  # the raw map
    counted = count(found(name, root)).frequencies
    assert (counted.pixel[0], counted.pixel[170], sum(counted.pixel), counted.images) == (1, 1, 2, 1)


def test_missing_masks_of_a_public_set(tmp_path: Path) -> None:
    """A picture without a mask is named, as in a folder; so is a split that is not there, or empty."""
    root = write_public(tmp_path / "d", "training", ".png", [np.ones((2, 2))])
    with pytest.raises(DataError, match="validation"):
        found("ade20k", root, "validation")
    (root / "annotations" / "training" / "p0.png").unlink()
    with pytest.raises(DataError, match=r"1 picture \(p0.jpg\) without a mask"):
        found("ade20k", root)
    (root / "images" / "training" / "p0.jpg").unlink()
    with pytest.raises(DataError, match="no pictures"):
        found("ade20k", root)


def test_the_mapping_belongs_to_what_is_kept(tmp_path: Path) -> None:
    """The same files counted with another mapping or other classes are other numbers: nothing is mixed up."""
    masks = MaskSet("train", (tmp_path / "m.png",), ("a", "b"))
    Image.new("L", (2, 2), 1).save(masks.masks[0])
    storage = Storage(tmp_path)
    assert count(masks, storage).frequencies.pixel == (0, 4)
    assert count(replace(masks, label_map=zero_is_void(2)), storage).frequencies.pixel == (4, 0)
    assert count(replace(masks, classes=("b", "a", "c")), storage).frequencies.pixel == (0, 4, 0)
    assert len(storage.frequencies.names()) == 3


def test_what_cannot_be_kept_is_counted_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A storage that takes nothing costs a warning, not the result."""
    masks = MaskSet("train", (tmp_path / "m.png",), ("a", "b"))
    Image.new("L", (2, 2), 1).save(masks.masks[0])
    (tmp_path / "frequencies").write_text("a file where a directory should be")
    assert count(masks, Storage(tmp_path)).frequencies.pixel == (0, 4)
    assert "cannot be kept" in caplog.text


def test_many_masks_are_told_of_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job says how many masks it is about to count where they are many, and only where it counts them."""
    root = write_folder(tmp_path / "d", {"train": [FIRST] * 3, "val": [FIRST]})
    monkeypatch.setattr(frequency, "_MANY", 3)
    for expected in (["counting class frequencies: 3 masks in annotations/train"], []):
        said: list[str] = []
        count_splits(prepared(root, tmp_path), Storage(tmp_path / "storage"), say=said.append)
        assert said == expected


def test_progress_adds_to_the_number_of_masks(tmp_path: Path) -> None:
    """Counted or remembered, `advance` is told of every mask."""
    root = write_folder(tmp_path / "d", {"train": [FIRST] * 70})
    for _ in range(2):
        steps: list[int] = []
        count(found("folder", root), Storage(tmp_path), advance=steps.append)
        assert sum(steps) == 70


def test_imbalance_factor() -> None:
    """Largest over smallest; classes that never occur are left out; nothing occurs: no factor."""
    assert imbalance_factor((6, 0, 3)) == 2
    assert imbalance_factor((5,)) == 1
    assert imbalance_factor((0, 0)) is None


def test_real_ade20k_samples(shared_data: Path) -> None:
    """The samples have 22 and 11 pictures with 69 and 59 classes, as their README lists."""
    root = shared_data / "ade20k_tiny"
    if not root.is_dir():
        pytest.skip(f"no ADE20K samples in {shared_data}")
    for split, images, classes in ((None, 22, 69), ("validation", 11, 59)):
        counted = count(found("ade20k", root, split)).frequencies
        assert (counted.images, sum(n > 0 for n in counted.pixel)) == (images, classes)


def test_real_cocostuff_samples(shared_data: Path) -> None:
    """The samples have 13 and 8 pictures with 57 and 62 classes, as their README lists."""
    root = shared_data / "cocostuff_tiny"
    if not root.is_dir():
        pytest.skip(f"no COCO-Stuff samples in {shared_data}")
    for split, images, classes in ((None, 13, 57), ("val2017", 8, 62)):
        counted = count(found("cocostuff164k", root, split)).frequencies
        assert (counted.images, sum(n > 0 for n in counted.pixel)) == (images, classes)


@pytest.mark.slow
def test_real_camvid(camvid: Path, tmp_path: Path) -> None:
    """CamVid's training counts are those its README lists."""
    spec = resolve_spec(make_spec(dataset="camvid"), data_roots=[camvid.parent])
    storage = Storage(tmp_path)
    counted = count_splits(prepare(spec.dataset, storage, print), storage)[0].frequencies
    assert counted.images == 367
    assert counted.pixel[:4] == (10682767, 14750079, 623349, 20076880)
    assert counted.region == (366, 365, 366, 367, 349, 319, 351, 173, 360, 317, 201)
