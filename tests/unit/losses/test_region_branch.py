from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from tests.unit.losses.reference import IGNORE, assert_near, batches, random_labels, upsample_then_mean
from trainer.losses.logit_adjusted import log_prior_of
from trainer.losses.region_branch import RegionBranch, RegionClassifier, region_cross_entropy

D, K = 6, 4
COUNTS = [100, 40, 0, 3]


def _branch(*, dropout: float = 0.1, counts: list[int] | None = COUNTS, seed: int = 0) -> RegionBranch:
    classifier = RegionClassifier(D, K, hidden=8, dropout=dropout, seed=seed)
    return RegionBranch(classifier, num_classes=K, region_counts=counts)


def _batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(3, D, 4, 5, generator=generator), random_labels(generator, (3, 12, 15), K)


@pytest.mark.parametrize("counts", [COUNTS, None], ids=["II", "I"])
def test_region_loss_equals_its_written_out_formula(counts: list[int] | None) -> None:
    """Eq. (8): cross-entropy of the region logits plus log prior, over all regions; ablation I without."""
    features, target = _batch()
    branch = _branch(dropout=0, counts=counts).double()
    loss, logged = branch(features.double(), target)
    rows, names = upsample_then_mean(features.double(), target, align_corners=False)
    c = branch.classifier
    logits = (rows @ c.hidden_weight.T + c.hidden_bias).clamp(min=0) @ c.output_weight.T + c.output_bias
    wanted = 0.0
    for z, (k, _, _) in zip(logits.tolist(), names, strict=True):
        prior = [max(count, 1) for count in counts] if counts else [1] * K
        partition = sum(p * math.exp(value) for p, value in zip(prior, z, strict=True))
        wanted += math.log(partition) - math.log(prior[k]) - z[k]
    assert_near(loss.total, torch.tensor(wanted), torch.float32)
    assert loss.units == len(names) == logged["num_regions"]
    right = sum(int(z.argmax()) == k for z, (k, _, _) in zip(logits, names, strict=True))
    assert logged["region_acc"].item() == pytest.approx(100 * right / len(names))


def test_uniform_region_prior_is_ablation_one() -> None:
    """Equal counts change nothing but a constant on all logits."""
    logits, ids = torch.randn(9, K, dtype=torch.float64), torch.arange(9) % K
    with_prior = region_cross_entropy(logits, ids, log_prior=log_prior_of([5] * K))
    assert_near(with_prior.total, region_cross_entropy(logits, ids).total, torch.float64)


def test_region_loss_gradcheck() -> None:
    """Finite differences agree in float64."""
    logits, ids = torch.randn(5, K, dtype=torch.float64, requires_grad=True), torch.arange(5) % K
    prior = log_prior_of(COUNTS)
    assert torch.autograd.gradcheck(lambda z: region_cross_entropy(z, ids, log_prior=prior).total, (logits,))


def test_global_random_stream_is_left_alone() -> None:
    """Neither making the branch nor its dropout in training moves torch's own stream."""
    features, target = _batch()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    branch = _branch()
    branch(features, target)
    assert torch.equal(torch.get_rng_state(), before)


def test_initialisation_depends_on_the_seed_alone() -> None:
    """Same seed, same parameters, whatever was drawn before; another seed, others; range as nn.Linear's."""
    torch.manual_seed(1)
    first = _branch(seed=3).classifier
    torch.rand(7)
    again, other = _branch(seed=3).classifier, _branch(seed=4).classifier
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.hidden_weight, other.hidden_weight)
    assert first.hidden_weight.abs().max() <= 1 / math.sqrt(D)
    assert first.output_bias.abs().max() <= 1 / math.sqrt(8)


def test_dropout_is_new_each_step_and_resumes_exactly() -> None:
    """Masks differ from step to step; a branch loaded from a state dict goes on with the same masks."""
    features, target = _batch()
    branch = _branch()
    first = branch(features, target)[0].total
    state = copy.deepcopy(branch.state_dict())
    second = branch(features, target)[0].total
    resumed = _branch()
    resumed.load_state_dict(state)
    assert not torch.equal(first, second)
    assert torch.equal(resumed(features, target)[0].total, second)


def test_dropout_keeps_the_expected_value() -> None:
    """About the stated share of units is dropped, the others are scaled up; none in evaluation."""
    classifier = RegionClassifier(1, 1, hidden=20_000, dropout=0.1)
    mask = classifier._mask(torch.ones(5, 20_000))
    assert mask.unique().tolist() == pytest.approx([0, 1 / 0.9])
    assert (mask == 0).double().mean().item() == pytest.approx(0.1, abs=0.01)
    x = torch.ones(2, 1)
    classifier.eval()
    assert torch.equal(classifier(x), classifier(x))
    assert int(classifier.step) == 1


@settings(max_examples=30, deadline=None)
@given(batch=batches([torch.bfloat16, torch.float32, torch.float64]))
def test_the_branch_is_never_nan_and_always_has_a_graph(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    """Any shape and label pattern: finite loss, a finite gradient for all parameters and the features."""
    logits, features, target = batch
    classes = logits.shape[1]
    classifier = RegionClassifier(features.shape[1], classes, hidden=4)
    branch = RegionBranch(classifier, num_classes=classes, region_counts=[1] * classes)
    branch = branch.double() if features.dtype is torch.float64 else branch
    features.requires_grad_()
    loss, logged = branch(features, target)
    loss.total.backward()
    assert loss.total.isfinite()
    assert all(value.isfinite() for value in logged.values())
    assert features.grad is not None
    for parameter in branch.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
    if (target == IGNORE).all():
        assert loss.total == 0
        assert not features.grad.any()
