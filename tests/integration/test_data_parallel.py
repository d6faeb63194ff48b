"""A whole mmseg model with the region branch under data-parallel training."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.integration import data_parallel_rank
from tests.integration.data_parallel_rank import CASES, IMAGES, Step, make_attached, make_half, step
from tests.unit.trainer.tiny_mmseg import mmseg_scope

TOLERANCE = 1e-5  # of a parameter's largest gradient, or of the loss
SECONDS = 120
pytestmark = pytest.mark.filterwarnings("ignore:When align_corners=True:UserWarning")


@pytest.fixture(autouse=True)
def _mmseg() -> Iterator[None]:
    with mmseg_scope():
        yield


@pytest.fixture(scope="module")
def of_two_ranks(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> list[Step]:
    """The step of each case, as two gloo processes take it."""
    directory = tmp_path_factory.mktemp("ranks")
    files = [str(directory / name) for name in ("rendezvous", "result.pt")]
    script = str(Path(data_parallel_rank.__file__))
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    ranks = [
        subprocess.Popen(
            [sys.executable, script, str(rank), *files], env=environment, stderr=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    try:
        errors = [rank.communicate(timeout=SECONDS)[1] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
            rank.wait()
    assert [rank.returncode for rank in ranks] == [0, 0], errors
    return [Step(*one) for one in torch.load(files[-1])]


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
    torch.testing.assert_close(halves.loss, whole.loss, rtol=TOLERANCE, atol=0)
    assert set(halves.gradients) == set(whole.gradients)
    assert any(name.endswith("hidden_weight") for name in whole.gradients)
    for name, wanted in whole.gradients.items():
        difference = (halves.gradients[name] - wanted).abs().max()
        assert difference <= TOLERANCE * wanted.abs().max(), name
        assert wanted.any(), name
