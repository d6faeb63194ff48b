from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn

from tests.unit.losses.reference import (
    IGNORE,
    assert_near,
    batches,
    cross_entropy_by_hand,
    dice_by_hand,
    random_labels,
)
from trainer.losses.cross_entropy import CrossEntropy, cross_entropy
from trainer.losses.dice import Dice, dice
from trainer.losses.logit_adjusted import BalancedSoftmax, balanced_softmax, log_prior_of
from trainer.losses.reduction import LossSum
from trainer.losses.reweighted import Reweighted, inverse_frequency_weights

COUNTS = [900, 90, 9, 1]
K = len(COUNTS)
MODULES: dict[str, Callable[[], nn.Module]] = {
    "cross_entropy": CrossEntropy,
    "reweighted": lambda: Reweighted(COUNTS),
    "balanced_softmax": lambda: BalancedSoftmax(COUNTS),
    "dice": Dice,
}
FLOATS = (torch.bfloat16, torch.float16, torch.float32, torch.float64)


def _batch(dtype: torch.dtype = torch.float64, images: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    logits = 2 * torch.randn(images, K, 5, 6, generator=generator, dtype=torch.float64)
    return logits.to(dtype), random_labels(generator, (images, 5, 6), K)


def _by_hand(name: str, logits: Tensor, target: Tensor) -> tuple[float, int]:
    if name == "dice":
        return dice_by_hand(logits, target)
    inverse = [1 / count for count in COUNTS]
    weights = [len(COUNTS) * value / sum(inverse) for value in inverse] if name == "reweighted" else None
    prior = [count / sum(COUNTS) for count in COUNTS] if name == "balanced_softmax" else None
    return cross_entropy_by_hand(logits, target, weights, prior)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", MODULES)
def test_loss_equals_its_written_out_formula(name: str, dtype: torch.dtype) -> None:
    """Sum and count are those of the definition, evaluated pixel by pixel in float64."""
    logits, target = _batch(dtype)
    result: LossSum = MODULES[name]()(logits, target)
    total, units = _by_hand(name, logits, target)
    # Priors and weights are stored in float32.
    assert_near(result.total, torch.tensor(total), torch.float32)
    assert result.units.item() == units


@pytest.mark.parametrize("name", MODULES)
def test_gradients_are_those_of_the_loss(name: str) -> None:
    """Finite differences agree in float64, ignored pixels included."""
    logits, target = _batch()
    module = MODULES[name]()
    assert torch.autograd.gradcheck(lambda z: module(z, target).total, (logits.requires_grad_(),))


def test_modules_only_store_what_the_functions_take() -> None:
    """Function and module give the same bits."""
    logits, target = _batch(torch.float32)
    pairs = [
        (CrossEntropy()(logits, target), cross_entropy(logits, target)),
        (
            Reweighted(COUNTS)(logits, target),
            cross_entropy(logits, target, class_weights=inverse_frequency_weights(COUNTS)),
        ),
        (BalancedSoftmax(COUNTS)(logits, target), balanced_softmax(logits, target, log_prior_of(COUNTS))),
        (Dice()(logits, target), dice(logits, target)),
    ]
    assert all(torch.equal(module.total, function.total) for module, function in pairs)


def test_uniform_prior_is_cross_entropy() -> None:
    """Adding the same number to all logits of a pixel changes neither loss nor gradient."""
    logits, target = _batch()
    logits.requires_grad_()
    plain, balanced = cross_entropy(logits, target), BalancedSoftmax([7] * K)(logits, target)
    assert_near(balanced.total, plain.total, torch.float64)
    gradients = [torch.autograd.grad(loss.total, logits)[0] for loss in (plain, balanced)]
    assert_near(gradients[1], gradients[0], torch.float64)


def test_equal_weights_are_cross_entropy() -> None:
    """Equal counts give weights of exactly 1."""
    logits, target = _batch()
    assert torch.equal(inverse_frequency_weights([7] * K), torch.ones(K))
    assert torch.equal(Reweighted([7] * K)(logits, target).total, cross_entropy(logits, target).total)


def test_weights_have_mean_one_over_classes_that_occur() -> None:
    """Inverse to frequency, a class that never occurs left out of the mean, weighted as if counted once."""
    weights = inverse_frequency_weights([100, 0, 25]).double()
    assert weights[[0, 2]].mean().item() == pytest.approx(1)
    assert (weights[2] / weights[0]).item() == pytest.approx(4)
    assert (weights[1] / weights[0]).item() == pytest.approx(100)


def test_log_prior_sums_to_one_before_the_log() -> None:
    """Large and missing counts alike give a finite, normalised prior."""
    prior = log_prior_of([10**12, 0, 5])
    assert prior.double().exp().sum().item() == pytest.approx(1)
    assert prior[1].item() == pytest.approx(-math.log(10**12 + 6))


def test_dice_of_hard_predictions_follows_from_counts() -> None:
    """For certain predictions Dice is 2 TP / (2 TP + FP + FN) of each image and class present."""
    target = torch.tensor([[[0, 0, 0, 1, 1, IGNORE]], [[2, 2, 2, 2, 2, 2]]])
    predicted = torch.tensor([[[0, 0, 1, 1, 2, 0]], [[2, 2, 2, 2, 2, 0]]])
    logits = 100.0 * nn.functional.one_hot(predicted, 3).movedim(-1, 1).double()
    wanted = (1 - 4 / 5) + (1 - 2 / 4) + (1 - 10 / 11)
    result = dice(logits, target)
    assert_near(result.total, torch.tensor(wanted, dtype=torch.float64), torch.float64)
    assert result.units.item() == 3


@pytest.mark.parametrize("name", MODULES)
def test_two_halves_add_to_the_whole(name: str) -> None:
    """Sums and counts of two parts of a batch are those of the batch."""
    logits, target = _batch(images=4)
    module = MODULES[name]()
    whole, first, second = (
        module(logits[part], target[part]) for part in (slice(0, 4), slice(2), slice(2, 4))
    )
    assert_near(first.total + second.total, whole.total, torch.float64)
    assert first.units + second.units == whole.units


@pytest.mark.parametrize("name", MODULES)
@settings(max_examples=25, deadline=None)
@given(batch=batches(FLOATS))
def test_no_loss_is_ever_nan(name: str, batch: tuple[Tensor, Tensor, Tensor]) -> None:
    """Any shape, label pattern and float type: finite loss >= 0, finite gradients, 0 without pixels."""
    logits, _, target = batch
    logits.requires_grad_()
    counts = [0, 5, 1, 10**9, 3][: logits.shape[1]] if logits.shape[1] > 1 else [3]
    module = {
        "cross_entropy": CrossEntropy(),
        "reweighted": Reweighted(counts),
        "balanced_softmax": BalancedSoftmax(counts),
        "dice": Dice(),
    }[name]
    result: LossSum = module(logits, target)
    (gradient,) = torch.autograd.grad(result.total, logits)
    assert result.total.dtype in (torch.float32, torch.float64)
    assert result.total.isfinite()
    assert result.total >= -1e-4
    assert gradient.isfinite().all()
    if not result.units:
        assert result.total == 0
        assert not gradient.any()


@pytest.mark.parametrize("name", MODULES)
@settings(max_examples=15, deadline=None)
@given(batch=batches([torch.float64]))
def test_ignored_pixels_change_nothing(name: str, batch: tuple[Tensor, Tensor, Tensor]) -> None:
    """Other logits under ignored pixels leave the loss; the gradient there is zero."""
    logits, _, target = batch
    module = MODULES[name]() if logits.shape[1] == K else (Dice() if name == "dice" else CrossEntropy())
    ignored = (target == IGNORE)[:, None].expand_as(logits)
    logits.requires_grad_()
    other = torch.where(ignored, logits.detach() * -3 + 1, logits.detach())
    assert torch.equal(module(logits, target).total, module(other, target).total)
    (gradient,) = torch.autograd.grad(module(logits, target).total, logits)
    assert not gradient[ignored].any()


@settings(max_examples=20, deadline=None)
@given(batch=batches([torch.float64]))
def test_renaming_classes_changes_nothing(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    """Permuting classes in logits, labels and counts together leaves every loss."""
    logits, _, target = batch
    order = torch.randperm(logits.shape[1], generator=torch.Generator().manual_seed(1))
    counts = [2, 30, 7, 900, 1][: logits.shape[1]]
    renamed_counts = [counts[old] for old in order.tolist()]
    table = torch.cat([order.argsort(), torch.full((256 - len(order),), IGNORE)])
    for make in (BalancedSoftmax, Reweighted):
        before, after = make(counts)(logits, target), make(renamed_counts)(logits[:, order], table[target])
        assert_near(after.total, before.total, torch.float32)
    assert_near(dice(logits[:, order], table[target]).total, dice(logits, target).total, torch.float64)


@pytest.mark.parametrize("name", MODULES)
def test_autocast_does_not_narrow_the_sum(name: str) -> None:
    """Under bf16 autocast the loss of bf16 logits is that of the same logits in float32."""
    logits, target = _batch(torch.bfloat16)
    module = MODULES[name]()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        narrow: LossSum = module(logits, target)
    assert narrow.total.dtype is torch.float32
    assert_near(narrow.total, module(logits.float(), target).total, torch.float32)


@pytest.mark.parametrize("name", ["reweighted", "balanced_softmax"])
def test_priors_and_weights_travel_but_are_not_saved(name: str) -> None:
    """They are buffers, so they follow the module's type and device, and no state dict holds them."""
    module = MODULES[name]()
    assert not module.state_dict()
    assert [buffer.dtype for buffer in module.double().buffers()] == [torch.float64]
