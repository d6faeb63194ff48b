from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from tests.unit.trainer.losses.reference import (
    IGNORE,
    assert_near,
    batches,
    random_labels,
    upsample_then_mean,
)
from trainer.losses.logit_adjusted import log_prior_of
from trainer.losses.region_branch import RegionBranch, region_cross_entropy
from trainer.losses.region_classifier import EtfRegionClassifier, Projection, RegionClassifier

D, K = 6, 4
COUNTS = [100, 40, 0, 3]


def _branch(
    *,
    dropout: float = 0.1,
    counts: list[int] | None = COUNTS,
    groups: dict[str, list[int]] | None = None,
) -> RegionBranch:
    classifier = RegionClassifier(D, K, hidden=8, dropout=dropout)
    return RegionBranch(classifier, num_classes=K, region_counts=counts, groups=groups)


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


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_region_loss_gradcheck(smoothing: float) -> None:
    """Finite differences agree in float64."""
    logits, ids = torch.randn(5, K, dtype=torch.float64, requires_grad=True), torch.arange(5) % K
    prior = log_prior_of(COUNTS)

    def loss(z: Tensor) -> Tensor:
        return region_cross_entropy(z, ids, log_prior=prior, label_smoothing=smoothing).total

    assert torch.autograd.gradcheck(loss, (logits,))


@pytest.mark.parametrize("counts", [COUNTS, None], ids=["II", "I"])
def test_smoothed_region_loss_equals_its_written_out_formula(counts: list[int] | None) -> None:
    """Cross-entropy with 1 - ε + ε/K of the target on the region's class and ε/K on each other one, of the
    logits with the prior in them.
    """
    smoothing = 0.3
    logits = torch.randn(6, K, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    ids = torch.tensor([0, 1, 2, 3, 3, 2])
    prior = [max(count, 1) for count in counts] if counts else [1] * K
    wanted = 0.0
    for z, k in zip(logits.tolist(), ids.tolist(), strict=True):
        partition = sum(p * math.exp(value) for p, value in zip(prior, z, strict=True))
        for j in range(K):
            share = smoothing / K + (1 - smoothing if j == k else 0)
            wanted -= share * (math.log(prior[j]) + z[j] - math.log(partition))
    log_prior = None if counts is None else torch.tensor(prior, dtype=torch.float64).log()
    loss = region_cross_entropy(logits, ids, log_prior=log_prior, label_smoothing=smoothing)
    assert_near(loss.total, torch.tensor(wanted, dtype=torch.float64), torch.float64)
    assert loss.units == 6


def test_no_smoothing_changes_no_bit() -> None:
    """ε = 0 is the loss without the option."""
    logits, ids = torch.randn(9, K), torch.arange(9) % K
    plain, zero = region_cross_entropy(logits, ids), region_cross_entropy(logits, ids, label_smoothing=0.0)
    assert torch.equal(plain.total, zero.total)
    assert not torch.equal(plain.total, region_cross_entropy(logits, ids, label_smoothing=0.1).total)


def test_accuracies_are_of_the_regions_of_each_group() -> None:
    """Overall and for each group: right regions in percent of the group's; NaN for a group without any."""
    features, target = _batch()
    target[target == 0] = IGNORE
    groups = {"head": [1, 2], "tail": [3], "gone": [0], "empty": []}
    branch = _branch(dropout=0, groups=groups)
    _, logged = branch(features, target)
    rows, names = upsample_then_mean(features, target, align_corners=False)
    right = {
        name: branch.classifier(row[None]).argmax() == name[0] for row, name in zip(rows, names, strict=True)
    }
    for group, members in groups.items():
        counted = [float(value) for name, value in right.items() if name[0] in members]
        wanted = 100 * sum(counted) / len(counted) if counted else math.nan
        assert logged[f"region_acc_{group}"].item() == pytest.approx(wanted, nan_ok=True)
    assert 0 < sum(right.values()) < len(right), "the case must tell right from wrong"
    assert logged["region_acc"].item() == pytest.approx(100 * float(sum(right.values())) / len(right))


def test_a_step_without_regions_has_no_accuracy() -> None:
    """All pixels ignored: no region, a loss of 0, and percentages that are NaN, which the log leaves out."""
    features, target = _batch()
    loss, logged = _branch(groups={"tail": [3]})(features, torch.full_like(target, IGNORE))
    assert loss.total == 0
    assert logged["num_regions"] == 0
    assert logged["region_acc"].isnan()
    assert logged["region_acc_tail"].isnan()


def test_projection_comes_before_pooling() -> None:
    """A branch with a projection is the branch without, on the projected features."""
    features, target = _batch()
    projection = Projection(D, 3)
    classifier = RegionClassifier(3, K, hidden=8, dropout=0)
    both = RegionBranch(classifier, num_classes=K, region_counts=COUNTS, projection=projection)
    apart = RegionBranch(classifier, num_classes=K, region_counts=COUNTS)
    assert torch.equal(both(features, target)[0].total, apart(projection(features), target)[0].total)


@pytest.mark.parametrize("form", ["default", "all options"])
@settings(max_examples=30, deadline=None)
@given(batch=batches([torch.bfloat16, torch.float32, torch.float64]))
def test_the_branch_is_never_nan_and_always_has_a_graph(
    form: str, batch: tuple[Tensor, Tensor, Tensor]
) -> None:
    """Any shape and label pattern: finite loss, a finite gradient for all parameters and the features."""
    logits, features, target = batch
    classes, channels = logits.shape[1], features.shape[1]
    if form == "default":
        classifier = RegionClassifier(channels, classes, hidden=4)
        branch = RegionBranch(classifier, num_classes=classes, region_counts=[1] * classes)
    else:
        branch = RegionBranch(
            EtfRegionClassifier(3, classes, hidden=8),
            num_classes=classes,
            region_counts=[1] * classes,
            projection=Projection(channels, 3),
            label_smoothing=0.5,
        )
    branch = branch.double() if features.dtype is torch.float64 else branch
    features.requires_grad_()
    loss, logged = branch(features, target)
    loss.total.backward()
    assert loss.total.isfinite()
    assert logged["region_acc"].isfinite() == (logged["num_regions"] > 0)
    assert features.grad is not None
    for parameter in branch.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
    if (target == IGNORE).all():
        assert loss.total == 0
        assert not features.grad.any()
