"""Remark 1 of the paper, decided in integers, against IoU in exact fractions."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trainer.results.remark import RemarkSummary, remark, summary
from trainer.results.report import ClassScore

COUNTS = st.integers(0, 12) | st.integers(0, 10**6) | st.integers(0, 2**90)


def score(tp: int, fp: int, fn: int) -> ClassScore:
    return ClassScore(
        id=0,
        name="x",
        group="head",
        iou=None,
        acc=None,
        tp=tp,
        fp=fp,
        fn=fn,
        pixel_frequency=1,
        region_frequency=1,
    )


def iou(tp: int, fp: int, fn: int) -> Fraction:
    return Fraction(tp, tp + fp + fn)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """(TP, FP, FN) of a class before and after, n_y = TP + FN >= 1 the same."""
    n_y = draw(COUNTS.filter(bool))
    before, after = (draw(st.integers(0, n_y) | st.sampled_from([0, n_y])) for _ in range(2))
    near = st.integers(-2, 2).map(lambda step: max(0, before_fp + step))
    before_fp = draw(COUNTS)
    return (before, before_fp, n_y - before), (after, draw(COUNTS | near), n_y - after)


@given(pairs())
@example(((0, 5, 3), (0, 0, 3)))
@example(((0, 5, 3), (1, 10**30, 2)))
@example(((3, 0, 0), (0, 0, 3)))
def test_held_is_iou_rose(pair: tuple[tuple[int, int, int], tuple[int, int, int]]) -> None:
    """The inequality holds exactly where IoU, as a fraction, rises: whatever the counts, gains or losses."""
    before, after = pair
    found = remark(score(*before), score(*after))
    assert found is not None
    assert found.held == found.iou_rose == (iou(*after) > iou(*before))
    assert found.acc_rose == (after[0] > before[0])


@given(pairs())
def test_sides_are_the_papers(pair: tuple[tuple[int, int, int], tuple[int, int, int]]) -> None:
    """Both sides are FP_after − (1+g)·FP_before and g·n_y, g from the accuracies; null where TP was 0."""
    (tp, fp, fn), (tp_after, fp_after, _) = pair
    found = remark(score(*pair[0]), score(*pair[1]))
    assert found is not None
    if tp == 0:
        assert (found.gain, found.false_positives, found.allowance) == (None, None, None)
        return
    g = Fraction(tp_after, tp) - 1
    assert found.gain == float(g)
    assert found.false_positives == float(fp_after - (1 + g) * fp)
    assert found.allowance == float(g * (tp + fn))


def test_by_hand() -> None:
    """n_y = 10; Acc 20 % to 60 %, FP 5 to 40: g = 2, 40 − 15 = 25 is not below 20, and IoU falls."""
    found = remark(score(2, 5, 8), score(6, 40, 4))
    assert found is not None
    assert (found.gain, found.false_positives, found.allowance) == (2.0, 25.0, 20.0)
    assert (found.held, found.iou_rose, found.acc_rose) == (False, False, True)
    better = remark(score(2, 5, 8), score(6, 34, 4))
    assert better is not None
    assert (better.false_positives, better.held, better.iou_rose) == (19.0, True, True)


def test_an_equal_iou_has_not_risen() -> None:
    """Both sides alike: neither held nor rose."""
    found = remark(score(2, 5, 8), score(2, 5, 8))
    assert found is not None
    assert (found.gain, found.held, found.iou_rose, found.acc_rose) == (0.0, False, False, False)


@pytest.mark.parametrize(("before", "after"), [((1, 0, 2), (1, 0, 3)), ((0, 4, 0), (0, 1, 0))])
def test_where_there_is_none(before: tuple[int, int, int], after: tuple[int, int, int]) -> None:
    """Another n_y, or none: no remark."""
    assert remark(score(*before), score(*after)) is None


def test_summary() -> None:
    """Counts are over the classes with a remark, `held` over those of them whose Acc rose; without a class
    there is none.
    """
    rose, fell = remark(score(1, 1, 1), score(2, 1, 0)), remark(score(1, 1, 2), score(2, 40, 1))
    cleaner = remark(score(2, 40, 1), score(1, 1, 2))  # Acc fell, IoU rose
    assert summary([rose, None, fell]) == RemarkSummary(classes=2, acc_rose=2, held=1, iou_rose=1)
    assert summary([rose, fell, cleaner]) == RemarkSummary(classes=3, acc_rose=2, held=1, iou_rose=2)
    assert summary([None]) is None
    assert summary([]) is None
