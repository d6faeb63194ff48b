"""A whole mmseg model with the region branch under data-parallel training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.data_parallel_rank import CASES, IMAGES, Step, make_attached, make_half, step
from tests.integration.two_ranks import assert_one_step, two_ranks
from tests.unit.trainer.tiny_mmseg import mmseg_scope

TOLERANCE = 1e-5  # of a parameter's largest gradient, or of the loss
pytestmark = pytest.mark.filterwarnings("ignore:When align_corners=True:UserWarning")


@pytest.fixture(autouse=True)
def _mmseg() -> Iterator[None]:
    with mmseg_scope():
        yield


@pytest.fixture(scope="module")
def of_two_ranks(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> list[Step]:
    """The step of each case, as two gloo processes take it."""
    return two_ranks(tmp_path_factory.mktemp("ranks"), repository)


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_two_ranks_have_the_gradients_of_one(case: tuple[str, str, str], of_two_ranks: list[Step]) -> None:
    """DistributedDataParallel with half the batch on each rank: every parameter's gradient, and the ranks'
    mean loss, are those of one process with all of it; also where regions and valid pixels are uneven, and
    where one rank has none.
    """
    head, method, labels = case
    model = make_attached(head, method)
    whole = step(model, model, make_half(labels, slice(0, IMAGES)))
    halves = of_two_ranks[CASES.index(case)]
    assert_one_step(halves, whole, tolerance=TOLERANCE)
