"""Mean, deviation and the paired t-test: SciPy's numbers, and nothing where there is nothing to judge by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from trainer.results.statistics import deviation, interval, mean, paired_p_value


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30))
def test_p_value(differences: list[float]) -> None:
    """Equal to SciPy's one-sample t-test of the differences."""
    ours = paired_p_value(differences)
    spread = deviation(differences)
    if ours is not None and spread is not None and spread > 1e-6:
        assert ours == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=1e-9)


def test_too_few() -> None:
    """One value has no spread, none have no mean."""
    assert paired_p_value([]) is paired_p_value([1.0]) is None
    assert mean([]) is deviation([3.0]) is None


@pytest.mark.parametrize(
    "differences",
    [
        [2.0, 2.0],
        [0.1] * 3,  # their mean is not 0.1, so their deviation is not 0
        [0.7] * 3,
        [1.1] * 3,
        [0.3 - 0.2, 56.4 - 56.3, 7.1 - 7.0],
    ],
)
def test_equal_differences_show_no_spread(differences: list[float]) -> None:
    """However they are rounded."""
    assert paired_p_value(differences) is None


@pytest.mark.parametrize("differences", [[0.0, 0.0, 0.0], [0.1 + 0.2 - 0.3, 0.0, 0.3 - 0.2 - 0.1]])
def test_no_difference_at_all(differences: list[float]) -> None:
    """Is what chance gives most often."""
    assert paired_p_value(differences) == 1.0


def test_a_difference_of_single_pixels_is_one() -> None:
    """What one pixel of a large split changes is more than rounding."""
    differences = [1e-8, 2e-8, 4e-8]
    assert paired_p_value(differences) == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)


@given(st.lists(st.integers(-100, 100), min_size=2, max_size=30).filter(lambda values: len({*values}) > 1))
def test_interval(values: list[int]) -> None:
    """Equal to SciPy's: the 95 % that Student's t gives around the mean."""
    found = interval(values)
    assert found is not None
    wanted = stats.t.interval(0.95, len(values) - 1, loc=sum(values) / len(values), scale=stats.sem(values))
    assert tuple(found) == pytest.approx(wanted, rel=1e-9, abs=1e-9)


def test_no_interval_of_one_value() -> None:
    """One value says nothing of how far others lie; equal ones have an interval of no width."""
    assert interval([3.0]) is None
    assert interval([3.0, 3.0]) == (3.0, 3.0)
