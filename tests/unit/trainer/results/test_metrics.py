"""Counts first, one division at the end."""

from __future__ import annotations

import statistics
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tests.data_factories import confusion
from trainer.results import metrics
from trainer.results.metrics import ClassCounts, Counts

VOID = 255
K = 4


def label_maps(shape: tuple[int, ...] = (3, 4, 5), *, void: bool = True) -> st.SearchStrategy[Any]:
    ids = st.integers(0, K - 1)
    return npst.arrays(np.uint8, shape, elements=ids | st.just(VOID) if void else ids)


def counted(prediction: Any, target: Any) -> Counts:
    return confusion(prediction, target, num_classes=K, ignore_index=VOID)


def test_by_hand() -> None:
    """A 2-class map of six pixels, one void: every score as on paper."""
    matrix = confusion([0, 0, 1, 1, 1, 0], [0, 1, 1, 1, 0, VOID], num_classes=2, ignore_index=VOID)
    assert matrix.tolist() == [[1, 1], [1, 2]]
    counts = ClassCounts.of(matrix)
    assert (counts.tp.tolist(), counts.fp.tolist(), counts.fn.tolist()) == ([1, 2], [1, 1], [1, 1])
    assert metrics.iou(counts) == [pytest.approx(100 / 3), 50.0]
    assert metrics.accuracy(counts) == [50.0, pytest.approx(200 / 3)]
    assert metrics.overall_accuracy(counts) == 60.0


@given(label_maps(), label_maps(void=False))
def test_against_masks(target: Any, prediction: Any) -> None:
    """Counts equal those from the definition with sets of pixels."""
    counts = ClassCounts.of(counted(prediction, target))
    valid = target != VOID
    for k in range(K):
        said, is_k = (prediction == k) & valid, target == k
        assert counts.tp[k] == (said & is_k).sum()
        assert counts.fp[k] == (said & ~is_k).sum()
        assert counts.fn[k] == (~said & is_k).sum()


@given(label_maps(), label_maps(void=False), st.permutations(range(K)))
def test_permuting_classes_permutes_scores(target: Any, prediction: Any, order: list[int]) -> None:
    """Renaming classes renames the scores and changes no mean."""
    lookup = np.arange(256)
    lookup[:K] = order
    before = ClassCounts.of(counted(prediction, target))
    after = ClassCounts.of(counted(lookup[prediction], lookup[target]))
    ious, moved = metrics.iou(before), metrics.iou(after)
    assert [moved[order[k]] for k in range(K)] == ious
    assert metrics.overall_accuracy(before) == metrics.overall_accuracy(after)


@given(
    label_maps((6, 4, 4)),
    label_maps((6, 4, 4), void=False),
    st.lists(st.integers(0, 2), min_size=6, max_size=6),
)
def test_ranks_add_up(target: Any, prediction: Any, ranks: list[int]) -> None:
    """However images are dealt to ranks, the summed counts are the same."""
    whole = counted(prediction, target)
    mine = np.array(ranks)
    parts = [counted(prediction[mine == rank], target[mine == rank]) for rank in range(3)]
    assert np.array_equal(sum(parts), whole)


@given(label_maps(), label_maps(void=False), st.integers(0, K - 1))
def test_ignored_pixels_change_nothing(target: Any, prediction: Any, other: int) -> None:
    """What is predicted where the label is void does not matter."""
    changed = np.where(target == VOID, other, prediction)
    assert np.array_equal(counted(prediction, target), counted(changed, target))


@given(label_maps(), label_maps(void=False))
def test_iou_and_accuracy_identity(target: Any, prediction: Any) -> None:
    """1/IoU = 1/Acc + FP/TP wherever TP > 0 (the paper's Eq. 3), exactly; FP/TP is null elsewhere."""
    counts = ClassCounts.of(counted(prediction, target))
    scores = zip(metrics.iou(counts), metrics.accuracy(counts), metrics.fp_tp(counts), strict=True)
    for k, (iou, acc, ratio) in enumerate(scores):
        tp, fp, fn = (int(each[k]) for each in (counts.tp, counts.fp, counts.fn))
        if not tp:
            assert ratio is None
            continue
        exact = Fraction(tp, tp + fp + fn), Fraction(tp, tp + fn), Fraction(fp, tp)
        assert 1 / exact[0] == 1 / exact[1] + exact[2]
        assert (iou, acc, ratio) == (float(100 * exact[0]), float(100 * exact[1]), float(exact[2]))


def test_counts_are_wide() -> None:
    """Sums beyond what float32 or int32 hold stay exact."""
    matrix = np.array([[2**40 + 1, 1], [0, 2**40]], dtype=np.int64)
    counts = ClassCounts.of(matrix)
    assert counts.tp.dtype == np.int64
    assert int(counts.tp.sum() + counts.fn.sum()) == 2**41 + 2
    assert int(counts.tp[0]) == 2**40 + 1


def test_absent_classes_have_no_score() -> None:
    """A class in neither labels nor predictions is None; one only predicted has IoU 0 and no accuracy."""
    counts = ClassCounts.of(np.array([[5, 1, 0], [0, 0, 0], [0, 0, 0]]))
    assert metrics.iou(counts) == [pytest.approx(500 / 6), 0.0, None]
    assert metrics.accuracy(counts) == [pytest.approx(500 / 6), None, None]
    assert metrics.mean(metrics.iou(counts)) == pytest.approx(500 / 12)


def test_nothing_at_all() -> None:
    """Without one valid pixel every score is None, and nothing is divided by zero."""
    counts = ClassCounts.of(counted([0, 1], [VOID, VOID]))
    assert metrics.iou(counts) == [None] * K
    assert metrics.mean(metrics.iou(counts)) is None
    assert metrics.overall_accuracy(counts) is None


@pytest.mark.parametrize("size", range(1, 13))
def test_groups_are_thirds(size: int) -> None:
    """Groups are numpy.array_split's thirds of the classes by falling frequency."""
    rng = np.random.default_rng(size)
    frequencies = rng.permutation(size) * 10
    groups = metrics.frequency_groups(frequencies.tolist())
    order = np.argsort(-frequencies)
    for name, part in zip(metrics.GROUPS, np.array_split(order, 3), strict=True):
        assert sorted(part.tolist()) == [k for k in range(size) if groups[k] == name]


def test_ties_keep_class_order() -> None:
    """Classes of equal frequency are grouped in label order."""
    assert metrics.frequency_groups([7, 7, 7]) == ["head", "body", "tail"]
    assert metrics.frequency_groups([0, 0, 9, 0]) == ["head", "body", "head", "tail"]


@given(st.permutations(range(9)))
def test_permuting_classes_permutes_groups(order: list[int]) -> None:
    """A class keeps its group wherever it stands, if no two are equally frequent."""
    frequencies = [2**k for k in range(9)]
    groups = metrics.frequency_groups(frequencies)
    moved = metrics.frequency_groups([frequencies[k] for k in order])
    assert moved == [groups[k] for k in order]


def test_configured_groups() -> None:
    """Groups end after ceil(K·share) classes; a third written as a float is a third."""
    frequencies = list(range(10, 0, -1))
    assert metrics.frequency_groups(frequencies, (0.1, 0.5)) == ["head"] + ["body"] * 4 + ["tail"] * 5
    assert metrics.frequency_groups(frequencies, (0.11, 0.99)) == ["head"] * 2 + ["body"] * 8
    assert metrics.frequency_groups([], (0.1, 0.5)) == []


@pytest.mark.parametrize("size", range(1, 40))
def test_float_noise_moves_no_class(size: int) -> None:
    """Shares that are whole numbers of classes cut there, though the floats are a little off."""
    for first in range(1, size):
        groups = metrics.frequency_groups([0] * size, (first / size + 1e-12, 1 - 1e-12))
        assert groups.count("head") == first
    assert metrics.frequency_groups(range(size), (1 / 3, 2 / 3)) == metrics.frequency_groups(range(size))


def test_pearson_by_hand() -> None:
    """Eq. 6 in percent on five classes, one without accuracy; undefined without two, or without variance."""
    frequencies, accuracies = [100, 80, 60, 1, 5], [90.0, 95.0, 70.0, None, 30.0]
    expected = 100 * statistics.correlation([100, 80, 60, 5], [90.0, 95.0, 70.0, 30.0])
    assert metrics.pearson(frequencies, accuracies) == pytest.approx(expected)
    assert metrics.pearson([1, 2, 3], [10.0, 20.0, 30.0]) == pytest.approx(100)
    assert metrics.pearson([1, 2, 3], [30.0, 20.0, 10.0]) == pytest.approx(-100)
    assert metrics.pearson([1, 2, 3], [None, 50.0, None]) is None
    assert metrics.pearson([1, 2, 3], [100 / 3, 100 / 3, 100 / 3]) is None
    assert metrics.pearson([7, 7], [10.0, 20.0]) is None
    assert metrics.pearson([], []) is None


@given(
    st.lists(st.tuples(st.integers(0, 10**15), st.floats(0, 100) | st.none()), max_size=12),
    st.integers(1, 1000),
)
def test_pearson_is_bounded_and_scale_free(classes: list[tuple[int, float | None]], factor: int) -> None:
    """Between -100 and 100, whatever the order of classes, unchanged when all frequencies are scaled."""
    frequencies, accuracies = [n for n, _ in classes], [acc for _, acc in classes]
    found = metrics.pearson(frequencies, accuracies)
    moved = metrics.pearson([factor * n for n in reversed(frequencies)], accuracies[::-1])
    if found is None:
        assert moved is None
    else:
        assert -100 <= found <= 100
        assert moved == pytest.approx(found, abs=1e-3)
