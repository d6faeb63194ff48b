"""Our transforms beside mmsegmentation's own: the same values and the same draws."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mmseg.datasets.transforms import PackSegInputs, PhotoMetricDistortion, RandomCrop, RandomFlip

from trainer.base.errors import DataError
from trainer.mmseg_adapter.photometric import FastPhotoMetricDistortion
from trainer.mmseg_adapter.transforms import (
    FastPackSegInputs,
    FastRandomCrop,
    FastRandomFlip,
    MapLabels,
    Results,
    ScalePicture,
    ShiftPicture,
)
from trainer.spec.data.label_map import as_stored, map_of, zero_is_void

VOID = 255
Transform = Callable[[Results], Results]

sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))
packed_sizes = st.tuples(st.integers(2, 40), st.integers(2, 40))  # mmseg cannot pack a mirrored column
seeds = st.integers(0, 2**32 - 1)


def picture_of(size: tuple[int, int], rng: np.random.Generator) -> Any:
    """Pixels of all colours, among them many that are black, white, grey or of one colour."""
    full = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    edges = rng.choice(np.array([0, 1, 254, 255], np.uint8), (*size, 3))
    grey = np.repeat(full[..., :1], 3, axis=-1)
    kinds = rng.integers(0, 3, size)[..., None]
    return np.where(kinds == 0, full, np.where(kinds == 1, edges, grey))


def sample_of(size: tuple[int, int], classes: int, void: float, seed: int) -> Results:
    """A picture and a mask of so many classes, in blocks, and so large a share of void."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, max(classes, 1), (size[0] // 8 + 1, size[1] // 8 + 1), dtype=np.uint8)
    mask = blocks.repeat(8, axis=0).repeat(8, axis=1)[: size[0], : size[1]].copy()
    mask[rng.random(size) < void] = VOID
    return {
        "img": picture_of(size, rng),
        "gt_seg_map": mask,
        "seg_fields": ["gt_seg_map"],
        "img_shape": size,
        "ori_shape": size,
        "img_path": "p.jpg",
        "seg_map_path": "p.png",
        "scale_factor": (1.0, 1.0),
        "reduce_zero_label": False,
    }


def drawn(transform: Transform, sample: Results, seed: int) -> tuple[Results, Any]:
    """What becomes of a copy of `sample`, and the next number that is drawn."""
    np.random.seed(seed)
    results = transform(copy.deepcopy(sample))
    return results, np.random.random()


def assert_equal(ours: Transform, theirs: Transform, sample: Results, seed: int) -> Results:
    """Every value that theirs leaves is in ours, bit for bit, and as much was drawn; ours."""
    (found, after), (expected, after_theirs) = drawn(ours, sample, seed), drawn(theirs, sample, seed)
    assert after == after_theirs
    for name, value in expected.items():
        if name == "swap_seg_labels":  # of a transform of mmseg's that has not been asked for
            continue
        assert type(found[name]) is type(value)
        if isinstance(value, np.ndarray):
            assert found[name].dtype == value.dtype
            assert np.array_equal(found[name], value)
        else:
            assert found[name] == value
    return found


@given(sizes, sizes, st.integers(0, 5), st.sampled_from([0.0, 0.1, 0.9, 1.0]), seeds,
       st.sampled_from([1.0, 0.99, 0.75, 0.5, 0.2]))  # fmt: skip
@example((40, 40), (8, 8), 1, 0.0, 0, 0.75)  # one class: all ten tries fail
@example((40, 40), (8, 8), 3, 1.0, 0, 0.75)  # nothing but void
@example((3, 5), (16, 16), 2, 0.1, 0, 0.75)  # smaller than the crop
@settings(deadline=None, max_examples=200)
def test_crops_are_mmsegs(
    size: tuple[int, int], crop: tuple[int, int], classes: int, void: float, seed: int, ratio: float
) -> None:
    """The same place after the same tries, whatever the picture, the crop and the classes."""
    sample = sample_of(size, classes, void, seed)
    theirs = RandomCrop(crop_size=crop, cat_max_ratio=ratio)
    assert_equal(FastRandomCrop(crop, ratio).transform, theirs.transform, sample, seed)


def test_ten_tries_are_made_and_no_more() -> None:
    """Of a picture of one class, eleven places are drawn: the first, and one after each try that fails."""
    sample = sample_of((20, 20), 1, 0.0, 0)
    _, after = drawn(FastRandomCrop((8, 8), 0.75).transform, sample, 3)
    np.random.seed(3)
    for _ in range(11):
        np.random.randint(0, 13), np.random.randint(0, 13)
    assert after == np.random.random()


@given(sizes, seeds, st.sampled_from([0.0, 0.3, 0.5, 1.0]))
@settings(deadline=None)
def test_flips_are_mmsegs(size: tuple[int, int], seed: int, prob: float) -> None:
    """Picture and mask change sides together, as often as mmseg's."""
    sample = sample_of(size, 3, 0.1, seed)
    assert_equal(FastRandomFlip(prob).transform, RandomFlip(prob=prob).transform, sample, seed)


@given(sizes, seeds)
@settings(deadline=None, max_examples=300)
def test_photometric_jitter_is_mmsegs(size: tuple[int, int], seed: int) -> None:
    """Brightness, contrast, saturation and hue, of any picture, bit for bit."""
    sample = sample_of(size, 1, 0.0, seed)
    ours, theirs = FastPhotoMetricDistortion(), PhotoMetricDistortion()
    assert_equal(ours.transform, theirs.transform, sample, seed)


@given(seeds)
@settings(deadline=None)
def test_photometric_arguments_are_mmsegs(seed: int) -> None:
    """Other ranges than the defaults mean the same, where values are cut at both ends too."""
    sample = sample_of((16, 16), 1, 0.0, seed)
    options: dict[str, Any] = {
        "brightness_delta": 300,
        "contrast_range": (0.0, 9.0),
        "saturation_range": (0.0, 9.0),
        "hue_delta": 179,
    }
    ours, theirs = FastPhotoMetricDistortion(**options), PhotoMetricDistortion(**options)
    assert_equal(ours.transform, theirs.transform, sample, seed)


@given(packed_sizes, packed_sizes, seeds)
@settings(deadline=None)
def test_a_chain_is_mmsegs(size: tuple[int, int], crop: tuple[int, int], seed: int) -> None:
    """Crop, flip, jitter and packing in a row, where one works on what the one before left."""
    sample = sample_of(size, 3, 0.1, seed)
    ours = (FastRandomCrop(crop, 0.75), FastRandomFlip(0.5), FastPhotoMetricDistortion(), FastPackSegInputs())
    theirs = (
        RandomCrop(crop_size=crop, cat_max_ratio=0.75),
        RandomFlip(prob=0.5),
        PhotoMetricDistortion(),
        PackSegInputs(),
    )
    (found, after), (expected, after_theirs) = (
        drawn(lambda results, steps=steps: run(steps, results), sample, seed)  # type: ignore[misc]
        for steps in (ours, theirs)
    )
    assert after == after_theirs
    assert found.keys() == expected.keys()
    assert found["inputs"].is_contiguous()
    assert found["inputs"].dtype == expected["inputs"].dtype
    assert found["inputs"].equal(expected["inputs"])
    mask, expected_mask = (each["data_samples"].gt_sem_seg.data for each in (found, expected))
    assert mask.dtype == expected_mask.dtype
    assert mask.equal(expected_mask)
    assert found["data_samples"].metainfo == expected["data_samples"].metainfo


def run(steps: tuple[Any, ...], results: Results) -> Results:
    for step in steps:
        results = step.transform(results)
    return results


@given(st.integers(1, 254), seeds)
@settings(deadline=None)
def test_zero_is_void_is_mmsegs_reduction(num_classes: int, seed: int) -> None:
    """Masks are mapped as LoadAnnotations(reduce_zero_label=True) does it."""
    mask = np.random.default_rng(seed).integers(0, num_classes + 1, (9, 11)).astype(np.uint8)
    mask[0, 0] = VOID
    ours = MapLabels(num_classes, zero_is_void(num_classes)).transform(
        {"gt_seg_map": mask, "seg_map_path": ""}
    )
    reduced = mask.copy()  # the lines of its _load_seg_map
    reduced[reduced == 0] = 255
    reduced = reduced - 1
    reduced[reduced == 254] = 255
    assert np.array_equal(ours["gt_seg_map"], reduced)


@pytest.mark.parametrize(
    ("num_classes", "label_map", "held", "message"),
    [
        (3, None, [0, 2, 255, 3, 254], "m.png holds the ids 3, 254; allowed: 0 to 2, 255 (void)"),
        (2, zero_is_void(2), [0, 1, 3], "m.png holds the ids 3; allowed: 0 (void), 1 to 2, 255 (void)"),
        (3, map_of({"0": 1, "9": None}), [9, 0, 255], "m.png holds the ids 255; allowed: 0, 9 (void)"),
        (2, map_of({"0": 0, "1": 2}), [0, 1], "m.png holds the ids 1; allowed: 0"),  # 2 is no class
        (255, map_of({"0": 254}), [0, 7], "m.png holds the ids 7; allowed: 0"),
    ],
)
def test_a_mask_with_other_ids_is_refused(
    num_classes: int, label_map: Any, held: list[int], message: str
) -> None:
    """The error names the file, the ids as stored, and what a mask may hold."""
    loaded = {"gt_seg_map": np.array([held], np.uint8), "seg_map_path": "m.png"}
    with pytest.raises(DataError) as refused:
        MapLabels(num_classes, label_map).transform(loaded)
    assert str(refused.value) == message


@pytest.mark.parametrize("num_classes", [1, 254, 255])
def test_every_legal_id_passes(num_classes: int) -> None:
    """Classes to the last and void are taken as they are, also where class 254 is one."""
    mask = np.array([[k for k, _ in as_stored(num_classes)]], np.uint8)
    mapped = MapLabels(num_classes).transform({"gt_seg_map": mask, "seg_map_path": "m.png"})
    assert np.array_equal(mapped["gt_seg_map"], mask)


def _results() -> Results:
    picture = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    mask = np.arange(6 * 8, dtype=np.uint8).reshape(6, 8)
    return {"img": picture, "gt_seg_map": mask, "seg_fields": ["gt_seg_map"], "img_shape": (6, 8)}


@pytest.mark.parametrize("seed", range(8))
def test_a_shift_moves_picture_and_mask_alike(seed: int) -> None:
    """What is inside moves by one vector; what comes in from outside is void in the mask."""
    np.random.seed(seed)
    moved = ShiftPicture(max_shift=3, seg_pad_val=255).transform(_results())
    assert moved["img"].shape == (6, 8, 3)
    assert moved["gt_seg_map"].shape == (6, 8)
    inside = moved["gt_seg_map"] != 255
    assert inside.sum() >= 3 * 5
    assert np.array_equal(moved["img"][inside][:, 0], moved["gt_seg_map"][inside] * 3)


def test_scaling_keeps_labels_whole() -> None:
    """Masks are scaled by nearest neighbour, and picture and mask to one size."""
    scaled = ScalePicture(scale=0.5).transform(_results())
    assert scaled["img"].shape[:2] == scaled["gt_seg_map"].shape == scaled["img_shape"] == (3, 4)
    assert set(scaled["gt_seg_map"].flatten()) <= set(range(48))
