from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.unit.trainer.losses.pixel_cases import make_batch
from tests.unit.trainer.losses.reference import assert_near
from trainer.losses.recall import Recall
from trainer.losses.reduction import LossSum, mean_over_ranks
from trainer.losses.region_branch import region_cross_entropy
from trainer.losses.seesaw import Seesaw

RANK = Path(__file__).with_name("gloo_rank.py")


def test_a_mean_is_total_over_units() -> None:
    """Without a process group each sum is divided by its own count."""
    sums = [LossSum(torch.tensor(6.0), torch.tensor(4)), LossSum(torch.tensor(5.0), torch.tensor(2))]
    assert [mean.item() for mean in mean_over_ranks(*sums)] == [1.5, 2.5]


def test_nothing_to_average_is_zero_with_a_graph() -> None:
    """A sum over nothing stays 0, and can be differentiated."""
    weight = torch.ones(3, 4, requires_grad=True)
    loss = region_cross_entropy(torch.zeros(0, 3) @ weight, torch.zeros(0, dtype=torch.int64))
    (mean,) = mean_over_ranks(loss)
    mean.backward()
    assert mean == 0
    assert weight.grad is not None
    assert not weight.grad.any()


@pytest.mark.slow
def test_two_ranks_have_the_gradient_of_one(tmp_path: Path, repository: Path) -> None:
    """Real gloo processes, uneven numbers of regions, one rank with none: averaged gradients and losses are
    those of a single worker with all regions. Their labels are smoothed. The same for the pixel losses that
    count over all ranks, Seesaw's counts included.
    """
    generator = torch.Generator().manual_seed(1)
    case = {
        "features": torch.randn(11, 5, generator=generator, dtype=torch.float64),
        "weight": torch.randn(5, 4, generator=generator, dtype=torch.float64),
        "class_ids": torch.arange(11) % 4,
        "splits": [3, 0, 11],
        "label_smoothing": 0.2,
    }
    case["logits"], case["target"] = make_batch(images=3)
    torch.save(case, tmp_path / "case.pt")
    files = [str(tmp_path / name) for name in ("rendezvous", "case.pt", "result.pt")]
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    ranks = [
        subprocess.Popen(
            [sys.executable, str(RANK), str(rank), *files], env=environment, stderr=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    try:
        errors = [rank.communicate(timeout=60)[1] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
            rank.wait()
    assert [rank.returncode for rank in ranks] == [0, 0], errors
    weight = case["weight"].clone().requires_grad_()
    loss = region_cross_entropy(case["features"] @ weight, case["class_ids"], label_smoothing=0.2)
    (mean,) = mean_over_ranks(loss)
    (3 * mean).backward()
    results = torch.load(tmp_path / "result.pt")
    for gradient, loss in results["regions"]:
        assert_near(gradient, weight.grad, torch.float64)
        assert_near(loss, mean.detach(), torch.float64)
    for module, (gradient, loss, state) in zip((Seesaw(4), Recall()), results["counting"], strict=True):
        for _ in range(2):
            logits = case["logits"].clone().requires_grad_()
            (mean,) = mean_over_ranks(module(logits, case["target"]))
        assert_near(gradient, torch.autograd.grad(mean, logits)[0], torch.float64)
        assert_near(loss, mean.detach(), torch.float64)
        assert all(torch.equal(state[name], value) for name, value in module.state_dict().items())
