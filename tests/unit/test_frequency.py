"""Class frequencies: right, kept by content, and bad masks named."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.data_factories import CLASSES, make_spec, write_folder, write_pair
from trainer import frequency
from trainer.data import PreparedData, prepare
from trainer.datasets import Folder
from trainer.errors import DataError
from trainer.folders import resolve_spec
from trainer.frequency import Frequencies, count_masks, frequencies_of
from trainer.layout import Storage
from trainer.splits import list_pairs

FIRST = np.array([[0, 0, 1], [255, 1, 1]])
SECOND = np.array([[0, 0, 0], [0, 255, 255]])


def prepared(root: Path, tmp_path: Path) -> PreparedData:
    return prepare(Folder(root=str(root)), Storage(tmp_path / "storage"), print)


def frequencies(root: Path, tmp_path: Path) -> Frequencies:
    return frequencies_of(prepared(root, tmp_path), Storage(tmp_path / "storage"))


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
        patched.setattr(frequency, "count_masks", lambda *_, **__: pytest.fail("counted twice"))
        assert frequencies(moved, tmp_path) == before
    write_pair(moved, "train", "p0", SECOND)
    os.utime(moved / "annotations" / "train" / "p0.png", ns=(1, 1))
    assert frequencies(moved, tmp_path) != before


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 1}', '{"format": 1, "pixel": [1], "region": [1], "images": 1}']
)
def test_spoilt_keepsake(tmp_path: Path, text: str) -> None:
    """A kept file that is cut short or not ours is counted anew and replaced."""
    root = write_folder(tmp_path / "d", {"train": [FIRST], "val": [FIRST]})
    right = frequencies(root, tmp_path)
    [kept] = (tmp_path / "storage" / "frequencies").iterdir()
    kept.write_text(text)
    assert frequencies(root, tmp_path) == right
    assert json.loads(kept.read_text())["pixel"] == list(right.pixel)


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


def test_unreadable_masks(tmp_path: Path) -> None:
    """A truncated mask and one of another mode are named with the reason, not averaged over."""
    root = write_folder(tmp_path / "d")
    masks = root / "annotations" / "train"
    whole = (masks / "p0.png").read_bytes()
    (masks / "p0.png").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (48, 32)).save(masks / "p1.png")
    with pytest.raises(DataError, match=r"2 masks cannot be read, first: p0\.png: .*; p1\.png: mode RGB"):
        frequencies(root, tmp_path)


def test_all_void(tmp_path: Path) -> None:
    """A split without one valid pixel cannot be trained or scored on."""
    void = np.full((2, 3), 255)
    root = write_folder(tmp_path / "d", {"train": [void], "val": [FIRST]})
    with pytest.raises(DataError, match="every pixel of its 1 masks is void"):
        frequencies(root, tmp_path)


def test_processes_change_nothing(tmp_path: Path) -> None:
    """Two processes count what one counts."""
    rng = np.random.default_rng(0)
    masks = [rng.integers(0, 3, size=(4, 5)) for _ in range(70)]
    root = write_folder(tmp_path / "d", {"train": masks, "val": masks[:1]})
    paths = [pair.mask for pair in list_pairs(root, "train")]
    one, two = (count_masks(paths, len(CLASSES), processes=n) for n in (1, 2))
    assert np.array_equal(one.pixel, two.pixel)
    assert np.array_equal(one.region, two.region)
    assert one.images == two.images == 70


@given(st.permutations(range(12)), st.integers(0, 12))
def test_halves_add_to_the_whole(order: list[int], cut: int) -> None:
    """However masks are dealt to workers, the sums of their tallies are the same."""
    rng = np.random.default_rng(1)
    tallies = []
    for _ in range(12):
        tally = frequency.Tally.empty()
        counts = rng.integers(0, 9, size=256)
        tally.pixel += counts
        tally.region += counts > 0
        tally.images = 1
        tallies.append(tally)
    parts = [frequency.Tally.empty(), frequency.Tally.empty(), frequency.Tally.empty()]
    for position, index in enumerate(order):
        parts[0 if position < cut else 1].add(tallies[index])
        parts[2].add(tallies[index])
    parts[0].add(parts[1])
    assert np.array_equal(parts[0].pixel, parts[2].pixel)
    assert np.array_equal(parts[0].region, parts[2].region)
    assert parts[0].images == 12


def test_real_camvid(camvid: Path, tmp_path: Path) -> None:
    """CamVid's training counts are those its README lists."""
    spec = resolve_spec(make_spec(dataset="camvid"), data_roots=[camvid.parent])
    storage = Storage(tmp_path)
    counted = frequencies_of(prepare(spec.dataset, storage, print), storage)
    assert counted.images == 367
    assert counted.pixel[:4] == (10682767, 14750079, 623349, 20076880)
    assert counted.region == (366, 365, 366, 367, 349, 319, 351, 173, 360, 317, 201)
