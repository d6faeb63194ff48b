"""Scores of single pictures, against the formulas written out and by what must not change them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tests.data_factories import confusion
from trainer.results import metrics
from trainer.results.from_counts import confused_pairs, make_scores
from trainer.results.metrics import ClassCounts
from trainer.results.picture_metrics import PictureScores, picture_scores, worst
from trainer.results.report import Scores
from trainer.results.split_counts import SplitCounts

VOID, K = 255, 4
NEAR = 1e-9  # points: means of at most a few hundred scores in float64


def split_of(pairs: Sequence[tuple[Any, Any]], *, classes: int = K) -> SplitCounts:
    """Counts of (predicted, target) label maps."""
    matrices = [confusion(*pair, num_classes=classes, ignore_index=VOID) for pair in pairs]
    counts = [ClassCounts.of(matrix) for matrix in matrices]
    tp, fp, fn = (
        np.array([getattr(one, name) for one in counts], dtype=np.int64).reshape(-1, classes)
        for name in ("tp", "fp", "fn")
    )
    total = sum(matrices, start=np.zeros((classes, classes), dtype=np.int64))
    names = tuple(f"p{number}" for number in range(len(pairs)))
    return SplitCounts(confusion=total, names=names, tp=tp, fp=fp, fn=fn)


def scores_of_pictures(counts: SplitCounts, **given: Any) -> Scores:
    classes = len(counts.confusion)
    usual = {"pixel_counts": range(classes, 0, -1), "region_counts": range(classes, 0, -1)}
    return make_scores(counts, class_names=[f"c{k}" for k in range(classes)], **{**usual, **given})


def pictures(least: int = 0) -> st.SearchStrategy[list[tuple[Any, Any]]]:
    maps = npst.arrays(np.uint8, (3, 4), elements=st.integers(0, K - 1))
    masks = npst.arrays(np.uint8, (3, 4), elements=st.integers(0, K - 1) | st.just(VOID))
    return st.lists(st.tuples(maps, masks), min_size=least, max_size=6)


def written_out(pairs: Sequence[tuple[Any, Any]]) -> PictureScores:
    """The four scores as the paper has them: sets of pixels, one picture and one class after the other."""
    table: dict[int, dict[int, float]] = {}
    for i, (predicted, target) in enumerate(pairs):
        for k in range(K):
            said, is_k = (predicted == k) & (target != VOID), target == k
            if is_k.any():
                iou = 100.0 * (said & is_k).sum() / (said | is_k).sum()
                table.setdefault(i, {})[k] = float(iou)
    images = sorted(sum(row.values()) / len(row) for row in table.values())
    columns = [sorted(row[k] for row in table.values() if k in row) for k in range(K)]

    def lowest(values: list[float]) -> float | None:
        part = values[: max(1, math.floor(len(values) * 5 / 100))]
        return metrics.mean(part)

    return PictureScores(
        image_mean=metrics.mean(images),
        image_worst=lowest(images),
        class_mean=metrics.mean([metrics.mean(column) for column in columns]),
        class_worst=metrics.mean([lowest(column) for column in columns]),
        by_class=tuple((metrics.mean(column), lowest(column), len(column)) for column in columns),
    )


def near(found: PictureScores, wanted: PictureScores) -> bool:
    pairs = zip(found[:4], wanted[:4], strict=True)
    means = all(mine == (theirs and pytest.approx(theirs, abs=NEAR)) for mine, theirs in pairs)
    ours, theirs = (np.array(one.by_class, dtype=float) for one in (found, wanted))
    return means and np.allclose(ours, theirs, rtol=0, atol=NEAR, equal_nan=True)


def test_by_hand() -> None:
    """Two pictures of four pixels: a class that is only predicted has no score, but costs the one it took."""
    counts = split_of(
        [([0, 0, 1, 2], [0, 0, 1, 1]), ([0, 1, 1, 1], [0, 0, 1, VOID])],
        classes=3,
    )
    found = picture_scores(counts)
    assert found.image_mean == pytest.approx((100 + 50) / 2 / 2 + (50 + 50) / 2 / 2)
    assert found.image_worst == 50
    assert found.class_mean == pytest.approx((75 + 50) / 2), "class 2 is in no truth"
    assert found.class_worst == 50
    assert found.by_class == ((75, 50, 2), (50, 50, 2), (None, None, 0))


@given(pictures())
def test_against_the_formulas(pairs: list[tuple[Any, Any]]) -> None:
    """Counts and one division give what sets of pixels give."""
    assert near(picture_scores(split_of(pairs)), written_out(pairs))


@given(pictures(), st.randoms(use_true_random=False))
def test_the_order_of_pictures_changes_nothing(pairs: list[tuple[Any, Any]], random: Any) -> None:
    """Not a bit of any score."""
    before = scores_of_pictures(split_of(pairs))
    random.shuffle(pairs)
    assert scores_of_pictures(split_of(pairs)) == before


@given(pictures(1), st.integers(2, 5))
def test_repeating_all_pictures_keeps_the_means(pairs: list[tuple[Any, Any]], times: int) -> None:
    """The means over all pictures and classes, and the IoU over all pixels."""
    once, again = (scores_of_pictures(split_of(pairs * number)) for number in (1, times))
    for name in ("mIoU", "image_mIoU", "class_image_mIoU"):
        assert getattr(again, name) == pytest.approx(getattr(once, name), abs=NEAR)


@given(pictures(1))
def test_one_picture_scores_as_its_classes(pairs: list[tuple[Any, Any]]) -> None:
    """All four are then the mean IoU over the classes that the picture has."""
    predicted, target = pairs[0]
    found = scores_of_pictures(split_of([(predicted, target)]))
    wanted = metrics.mean([one.iou for one in found.classes if one.tp + one.fn])
    for value in found.by_picture.values():
        assert value == (wanted and pytest.approx(wanted, abs=NEAR))


@given(pictures(1))
def test_the_worst_are_no_better(pairs: list[tuple[Any, Any]]) -> None:
    """Of pictures, of classes, and of each class."""
    found = picture_scores(split_of(pairs))
    both = [found[:2], found[2:4], *(one[:2] for one in found.by_class)]
    for every, lowest in both:
        assert (every is None) == (lowest is None)
        assert every is None or lowest is None or lowest <= every + NEAR


@pytest.mark.parametrize(("number", "lowest"), [(1, 1), (19, 1), (20, 1), (39, 1), (40, 2), (101, 5)])
def test_how_many_are_the_worst(number: int, lowest: int) -> None:
    """5 % rounded down, and never none."""
    values = np.arange(number, dtype=float)[::-1]
    assert worst(values) == np.arange(lowest).mean()


@pytest.mark.parametrize("pairs", [[], [([0, 1], [VOID, VOID])]])
def test_nothing_to_score(pairs: list[tuple[Any, Any]]) -> None:
    """Without a picture, or a pixel that has a class, scores are undefined and no pair is mixed up."""
    found = scores_of_pictures(split_of(pairs))
    assert set(found.by_picture.values()) == {None}
    assert (found.mIoU, found.images, found.confused) == (None, len(pairs), ())
    assert {(one.image_iou, one.image_iou_worst5, one.images) for one in found.classes} == {(None, None, 0)}


def test_pairs_mixed_up() -> None:
    """Most pixels first, of equals the first class; the share is of the class's pixels; none without any."""
    matrix = np.array([[90, 3, 7], [0, 10, 3], [0, 0, 0]])
    found = [tuple(one.model_dump().values()) for one in confused_pairs(matrix, "abc")]
    assert found == [("a", "c", 7, 7.0), ("a", "b", 3, 3.0), ("b", "c", 3, 100 * 3 / 13)]
    many = confused_pairs(np.ones((5, 5), dtype=np.int64), "abcde")
    assert [(one.truth, one.predicted) for one in many] == [
        *(("a", other) for other in "bcde"),
        *(("b", other) for other in "acde"),
        *(("c", other) for other in "ab"),
    ]
    assert matrix.trace() == 100, "the counts stay as they are"


def test_groups_by_pictures() -> None:
    """Head, body and tail by training pictures beside those by training pixels, with the same boundaries."""
    counts = split_of([([0, 1, 2, 3, 3], [0, 1, 2, 3, 0])])
    found = scores_of_pictures(
        counts, pixel_counts=[4, 3, 2, 1], region_counts=[1, 2, 3, 4], group_boundaries=(0.25, 0.5)
    )
    assert (found.head_mIoU, found.body_mIoU, found.tail_mIoU) == (50, 100, 75)
    assert found.region_frequency_groups is not None
    assert found.region_frequency_groups.model_dump() == {"head": 50, "body": 100, "tail": 75}
