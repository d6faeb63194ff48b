"""Digit scenes: the long tail is as asked for, splits share nothing, rendering repeats."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from trainer.base.errors import DataError
from trainer.data.prepare import PreparedData, digits, prepare
from trainer.spec.data.datasets import CamVid, DigitScenes, Folder
from trainer.storage.layout import Storage

SMALL = DigitScenes(train_images=60, eval_images=50)


def labels_of(parameters: DigitScenes, split: digits.Split) -> npt.NDArray[np.uint8]:
    return np.stack([scene.labels for scene in digits.render(parameters, split)])


def region_counts(labels: npt.NDArray[np.uint8]) -> list[int]:
    return [int((labels == k).any(axis=(1, 2)).sum()) for k in range(11)]


def test_default_counts() -> None:
    """1000 scenes hold 748 zeros down to 18 nines; 600 hold the same shares."""
    imbalance = DigitScenes().imbalance
    assert digits.digit_counts(1000, imbalance) == (748, 494, 327, 216, 143, 94, 62, 41, 27, 18)
    assert digits.digit_counts(600, imbalance)[0] == 449
    assert digits.digit_counts(600, imbalance)[-1] == 11


@given(st.integers(50, 50_000), st.floats(1, 200))
def test_counts_fall(images: int, imbalance: float) -> None:
    """Counts never rise, never vanish, never exceed the scenes, and have about the imbalance asked for."""
    counts = digits.digit_counts(images, imbalance)
    assert list(counts) == sorted(counts, reverse=True)
    assert 1 <= counts[-1] <= counts[0] <= images
    if counts[-1] >= 20:
        assert counts[0] / counts[-1] == pytest.approx(imbalance, rel=0.05)


@pytest.mark.parametrize("imbalance", [748 / 18, 1.0, 200.0])
@pytest.mark.parametrize("split", ["train", "val"])
def test_scenes_hold_what_was_counted(split: digits.Split, imbalance: float) -> None:
    """No digit is wholly hidden: pictures that contain a class are as many as asked for, in both splits."""
    parameters = DigitScenes(train_images=120, eval_images=80, imbalance=imbalance)
    images = 120 if split == "train" else 80
    labels = labels_of(parameters, split)
    assert labels.shape == (images, 64, 64)
    assert labels.dtype == np.uint8
    assert region_counts(labels) == [images, *digits.digit_counts(images, imbalance)]


def test_tail_is_small() -> None:
    """Rare digits are smaller as well: pixels per picture fall from head to tail."""
    labels = labels_of(DigitScenes(train_images=400), "train")
    sizes = [float((labels == k).sum()) / count for k, count in enumerate(region_counts(labels))]
    assert sizes[1] > 1.15 * sizes[5] > 1.3 * sizes[10] > 0


def test_rendering_repeats_and_seeds_differ() -> None:
    """The same parameters give the same bytes; another seed other scenes."""
    first, again = (list(digits.render(SMALL, "train")) for _ in range(2))
    assert all(np.array_equal(a.picture, b.picture) for a, b in zip(first, again, strict=True))
    assert all(np.array_equal(a.labels, b.labels) for a, b in zip(first, again, strict=True))
    other = next(digits.render(SMALL.model_copy(update={"seed": 1}), "train"))
    assert not np.array_equal(other.picture, first[0].picture)


def test_rendering_leaves_global_random_state_alone() -> None:
    """Nothing is drawn from numpy's global generator."""
    np.random.seed(3)
    wanted = np.random.random()
    np.random.seed(3)
    list(digits.render(SMALL, "val"))
    assert np.random.random() == wanted


@given(st.integers(0, 2**31 - 1))
def test_splits_share_no_sample(seed: int) -> None:
    """Every sample of a digit belongs to one split, and both splits have some of each digit."""
    labels = np.arange(200) % 10
    train = digits.sample_split(labels, seed, "train")
    held_out = digits.sample_split(labels, seed, "val")
    for digit in range(10):
        assert sorted([*train[digit], *held_out[digit]]) == np.flatnonzero(labels == digit).tolist()
        assert len(train[digit]) == 14


def test_splits_share_no_photograph() -> None:
    """Backgrounds come from disjoint halves of the photographs."""
    left, right = (digits._material(0, split).photographs for split in ("train", "val"))
    for one, other in zip(left, right, strict=True):
        assert one.width + other.width == 640
        assert not np.array_equal(np.asarray(one), np.asarray(other))


def test_prepared_scenes_are_a_folder_data_set(tmp_path: Path) -> None:
    """Rendered once, as pictures and masks that read back as they were drawn; found again the second time."""
    said: list[str] = []
    data = prepare(SMALL, Storage(tmp_path), said.append)
    assert data.train_images == 60
    assert data.eval_images == 50
    assert data.classes[0] == "background"
    assert len(data.classes) == 11
    root = Path(data.root)
    scene = list(digits.render(SMALL, "val"))[7]
    name = "scene_00007.png"
    assert np.array_equal(np.asarray(Image.open(root / "images" / "val" / name)), scene.picture)
    assert np.array_equal(np.asarray(Image.open(root / "annotations" / "val" / name)), scene.labels)
    assert prepare(SMALL, Storage(tmp_path), said.append) == data
    assert len(said) == 1
    assert [path.name for path in (tmp_path / "datasets").iterdir()] == [root.name]


@pytest.mark.slow
def test_other_parameters_get_their_own_directory(tmp_path: Path) -> None:
    """Scenes of another seed or imbalance never stand in for each other."""
    changes: tuple[dict[str, float], ...] = ({}, {"seed": 1}, {"imbalance": 2.0})
    made = {prepare(SMALL.model_copy(update=change), Storage(tmp_path), print).root for change in changes}
    assert len(made) == 3


@pytest.mark.slow
def test_two_jobs_at_once(tmp_path: Path) -> None:
    """Several renderings of the same scenes at once all succeed and leave one directory."""
    results: list[PreparedData] = []
    threads = [
        Thread(target=lambda: results.append(prepare(SMALL, Storage(tmp_path), print))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3
    assert len(set(results)) == 1
    assert len(list((tmp_path / "datasets").iterdir())) == 1


def test_unresolved_camvid(tmp_path: Path) -> None:
    """A data set whose root was never resolved is refused."""
    with pytest.raises(DataError, match="no root"):
        prepare(CamVid(), Storage(tmp_path), print)


def test_folder_that_vanished(tmp_path: Path) -> None:
    """Files that are gone since the spec was accepted end in a DataError."""
    with pytest.raises(DataError, match=r"classes\.txt"):
        prepare(Folder(root=str(tmp_path / "gone")), Storage(tmp_path), print)
