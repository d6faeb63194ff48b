from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.losses.etf import simplex_etf


@settings(max_examples=25, deadline=None)
@given(num_classes=st.integers(2, 40), spare=st.integers(0, 30), seed=st.integers(0, 2**32))
def test_columns_are_unit_and_equally_far_apart(num_classes: int, spare: int, seed: int) -> None:
    """Length 1 each, cosine -1/(K-1) for every pair, sum 0; for any K up to the dimension."""
    frame = simplex_etf(num_classes, num_classes + spare, torch.Generator().manual_seed(seed)).double()
    assert frame.shape == (num_classes + spare, num_classes)
    wanted = torch.full((num_classes, num_classes), -1 / (num_classes - 1), dtype=torch.float64)
    wanted.fill_diagonal_(1)
    assert (frame.T @ frame - wanted).abs().max() < 1e-6
    assert frame.sum(dim=1).abs().max() < 1e-6


def test_the_generator_decides() -> None:
    """Same seed, same frame; another seed, another; torch's own stream is not drawn from."""
    before = torch.get_rng_state()
    first, again, other = (simplex_etf(4, 8, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_one_class_has_a_unit_direction() -> None:
    """K = 1, where -1/(K-1) means nothing, gives one unit column and no NaN."""
    assert simplex_etf(1, 5, torch.Generator().manual_seed(0)).norm().item() == pytest.approx(1)


@pytest.mark.parametrize(("num_classes", "dimension"), [(5, 4), (0, 4)])
def test_what_does_not_fit_is_refused(num_classes: int, dimension: int) -> None:
    """More classes than dimensions, or none, raise with both numbers."""
    with pytest.raises(ValueError, match=rf"{num_classes} classes does not fit into {dimension}"):
        simplex_etf(num_classes, dimension, torch.Generator())
