"""A whole mmseg model with the region branch under data-parallel training."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.factories import tiny_plan
from tests.integration import killed_rank
from tests.integration.data_parallel_rank import CASES, IMAGES, Step, make_attached, make_half, step
from tests.integration.two_ranks import SECONDS, assert_one_step, two_ranks
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


def test_weights_without_a_gradient_are_named(tmp_path: Path, repository: Path) -> None:
    """Two workers whose head leaves the backbone's last stage out end at once, with its weights' names."""
    plan = tiny_plan(tmp_path, resources={"workers": 2}).model_dump(mode="json")
    plan["config"]["model"]["decode_head"] |= {"in_channels": [28, 56], "in_index": [0, 1]}
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(plan))
    ranks = [
        subprocess.Popen(
            [sys.executable, killed_rank.__file__, str(rank), "2", str(tmp_path / "rendezvous"), str(file)],
            env={**os.environ, "PYTHONPATH": str(repository)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        errors = [rank.communicate(timeout=SECONDS)[1] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
            rank.wait()
    for error in errors:
        assert "ModelError: /model: " in error
        assert "tensors of weights get no gradient: backbone.layer3.0.conv1.weight, " in error
