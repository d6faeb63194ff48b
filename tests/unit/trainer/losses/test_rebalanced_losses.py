"""What each rebalanced pixel loss is where it must be another, and what its weights and margins are."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.unit.trainer.losses.pixel_cases import COUNTS, K, make_batch
from tests.unit.trainer.losses.reference import IGNORE, assert_near
from tests.unit.trainer.losses.reference_pixel import effective_number_by_hand, recall_by_hand, seesaw_by_hand
from trainer.losses.blv import Blv, blv, clipped_noise, variation_of
from trainer.losses.cross_entropy import CrossEntropy, cross_entropy
from trainer.losses.dice import Dice, dice
from trainer.losses.focal import Focal, focal
from trainer.losses.ldam import Ldam, ldam, margins_of
from trainer.losses.logit_adjusted import (
    BalancedSoftmax,
    LogitAdjusted,
    balanced_softmax,
    log_prior_of,
    logit_adjusted,
    scaled_log_prior,
)
from trainer.losses.ohem import Ohem, ohem
from trainer.losses.own_random import own_generator
from trainer.losses.recall import Recall, recall, recall_weights
from trainer.losses.reduction import LossSum
from trainer.losses.reweighted import Reweighted, effective_number_weights, inverse_frequency_weights
from trainer.losses.seesaw import Seesaw, seesaw

Loss = Callable[[Tensor, Tensor], LossSum]


def _values(loss: Loss, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """() total and (N, K, H, W) gradient on the batch."""
    logits, target = make_batch(dtype)
    result = loss(logits.requires_grad_(), target)
    return result.total.detach(), torch.autograd.grad(result.total, logits)[0]


@pytest.mark.parametrize(
    "loss",
    [
        LogitAdjusted(COUNTS, temperature=0),
        Focal(gamma=0),
        Ldam(COUNTS, max_margin=0, scale=1),
        Reweighted(COUNTS, beta=0),
        Reweighted([7] * K),
        Seesaw(K, mitigation=0, compensation=0),
        Blv(COUNTS, sigma=0),
        Blv(COUNTS).eval(),
    ],
    ids=["tau", "gamma", "margin", "beta", "equal counts", "p q", "sigma", "no noise in eval"],
)
def test_switched_off_is_cross_entropy_bit_for_bit(loss: Loss) -> None:
    """With the parameter that does the rebalancing at zero: the same loss and the same gradient."""
    assert all(torch.equal(*pair) for pair in zip(_values(loss), _values(CrossEntropy()), strict=True))


@pytest.mark.parametrize(
    "loss", [BalancedSoftmax([7] * K), LogitAdjusted([7] * K, temperature=3), Ohem(threshold=1, min_kept=1)]
)
def test_nothing_to_rebalance_is_cross_entropy(loss: Loss) -> None:
    """The same number on all logits of a pixel changes nothing, nor does keeping every pixel."""
    for ours, plain in zip(_values(loss, torch.float64), _values(CrossEntropy(), torch.float64), strict=True):
        assert_near(ours, plain, torch.float64)


def test_temperature_one_is_balanced_softmax() -> None:
    """Logit adjustment with temperature 1 and the same prior: the same bits, in loss and gradient."""
    ours, other = _values(LogitAdjusted(COUNTS, temperature=1)), _values(BalancedSoftmax(COUNTS))
    assert all(torch.equal(*pair) for pair in zip(ours, other, strict=True))


def test_modules_only_store_what_the_functions_take() -> None:
    """Function and module give the same bits."""
    logits, target = make_batch(torch.float32)
    noise = clipped_noise(logits, sigma=4.0, generator=own_generator(0, 0, 0))
    counts = target[target != IGNORE].bincount(minlength=K)
    pairs = [
        (CrossEntropy(), cross_entropy(logits, target)),
        (
            Reweighted(COUNTS),
            cross_entropy(logits, target, class_weights=inverse_frequency_weights(COUNTS)),
        ),
        (BalancedSoftmax(COUNTS), balanced_softmax(logits, target, log_prior_of(COUNTS))),
        (
            LogitAdjusted(COUNTS, temperature=2),
            logit_adjusted(logits, target, log_prior_of(COUNTS), temperature=2),
        ),
        (Ldam(COUNTS), ldam(logits, target, margins_of(COUNTS, max_margin=0.5))),
        (Focal(), focal(logits, target)),
        (Ohem(), ohem(logits, target)),
        (Seesaw(K), seesaw(logits, target, counts)),
        (Recall(), recall(logits, target)),
        (Blv(COUNTS), blv(logits, target, variation_of(COUNTS), noise)),
        (Dice(), dice(logits, target)),
    ]
    assert all(torch.equal(module(logits, target).total, wanted.total) for module, wanted in pairs)


def test_weights_have_mean_one_over_classes_that_occur() -> None:
    """Both kinds; a class that never occurs is left out of the mean, and weighs what the rarest weighs."""
    for weights in (
        inverse_frequency_weights([100, 0, 25]).double(),
        effective_number_weights([100, 0, 25], beta=1 - 1e-12).double(),
    ):
        assert weights[[0, 2]].mean().item() == pytest.approx(1)
        assert (weights[2] / weights[0]).item() == pytest.approx(4)
        assert weights[1] == weights[2]


@given(
    counts=st.lists(st.integers(1, 10**12), min_size=1, max_size=6),
    beta=st.floats(0, 1, exclude_max=True),
)
def test_effective_numbers_lie_between_none_and_inverse_frequency(counts: list[int], beta: float) -> None:
    """Any beta and counts: finite, above 0, mean 1, and never further apart than the inverse counts."""
    weights = effective_number_weights(counts, beta=beta).double()
    assert weights.isfinite().all()
    assert (weights > 0).all()
    assert weights.mean().item() == pytest.approx(1, rel=1e-5)
    ranked = sorted(zip(counts, weights.tolist(), strict=True))
    for (rarer, larger), (commoner, smaller) in itertools.pairwise(ranked):
        assert 1 - 1e-5 <= larger / smaller <= commoner / rarer * (1 + 1e-5)


def test_effective_number_equals_its_formula_and_both_ends() -> None:
    """Cui et al.'s formula where it can be written down; ones at 0; inverse frequency just below 1."""
    wanted = torch.tensor(effective_number_by_hand(COUNTS, 0.9), dtype=torch.float64)
    assert_near(effective_number_weights(COUNTS, beta=0.9), wanted, torch.float32)
    assert torch.equal(effective_number_weights([10**12, 1, 50], beta=0), torch.ones(3))
    below_one = math.nextafter(1, 0)
    ours, inverse = effective_number_weights(COUNTS, beta=below_one), inverse_frequency_weights(COUNTS)
    assert_near(ours, inverse, torch.float32)


def test_log_prior_sums_to_one_before_the_log() -> None:
    """Large and missing counts alike give a finite, normalised prior."""
    prior = log_prior_of([10**12, 0, 5])
    assert prior.double().exp().sum().item() == pytest.approx(1)
    assert prior[1].item() == pytest.approx(-math.log(10**12 + 6))


def test_margins_fall_with_the_fourth_root() -> None:
    """16 times the pixels, half the margin; the rarest class that occurs has the largest."""
    assert margins_of([16, 256, 0], max_margin=0.6).tolist() == pytest.approx([0.6, 0.3, 0.6])


def test_a_margin_raises_the_loss_of_its_class_alone() -> None:
    """With a margin each class's pixels lose more; a margin of another class leaves them alone."""
    logits, _ = make_batch()
    rises = []
    for label in range(K):
        target = torch.full_like(logits[:, 0], label, dtype=torch.int64)
        with_margin, without = (
            ldam(logits, target, margins, scale=1).total
            for margins in (margins_of(COUNTS, max_margin=0.5), torch.zeros(K))
        )
        rises.append((with_margin - without).item())
    assert rises == sorted(rises)  # the rarer, the more
    assert rises[0] > 0
    common = torch.zeros(2, 5, 6, dtype=torch.int64)
    only_last = torch.tensor([0.0, 0.0, 0.0, 0.5])
    assert torch.equal(
        ldam(logits, common, only_last, scale=1).total, ldam(logits, common, torch.zeros(K), scale=1).total
    )


@pytest.mark.parametrize("gamma", [0.01, 0.5, 5.0])
def test_focal_of_certain_pixels_has_no_gradient(gamma: float) -> None:
    """A pixel whose probability rounds to 1 costs nothing, even where the power has an infinite slope."""
    logits = torch.zeros(1, 3, 1, 1)
    logits[:, 1] = 200
    result = focal(logits.requires_grad_(), torch.ones(1, 1, 1, dtype=torch.int64), gamma=gamma)
    (gradient,) = torch.autograd.grad(result.total, logits)
    assert result.total == 0
    assert not gradient.any()


@pytest.mark.parametrize(("mitigation", "compensation"), [(0.8, 2.0), (0.0, 2.0), (0.8, 0.0), (1.3, 0.6)])
def test_seesaw_equals_its_formula(mitigation: float, compensation: float) -> None:
    """Counts of another order than the labels', among them none: value as written out, factors constant."""
    logits, target = make_batch()
    counts = [5, 0, 700, 30]
    logits.requires_grad_()
    result = seesaw(logits, target, torch.tensor(counts), mitigation=mitigation, compensation=compensation)
    total, units = seesaw_by_hand(
        logits.detach(), target, [max(count, 1) for count in counts], mitigation, compensation
    )
    assert_near(result.total, torch.tensor(total, dtype=torch.float64), torch.float64)
    assert result.units.item() == units
    (gradient,) = torch.autograd.grad(result.total, logits)
    assert_near(
        gradient, _seesaw_gradient(logits.detach(), target, counts, mitigation, compensation), torch.float64
    )


def _seesaw_gradient(logits: Tensor, target: Tensor, counts: list[int], p: float, q: float) -> Tensor:
    """(N, K, H, W) softmax of log S_ij + z_j less the one-hot labels, one pixel at a time."""
    gradient = torch.zeros_like(logits)
    floored = [max(count, 1) for count in counts]
    for n, row, column in (target != IGNORE).nonzero().tolist():
        z, i = logits[n, :, row, column], int(target[n, row, column])
        sigma = z.softmax(0)
        factors = [
            min(1.0, floored[j] / floored[i]) ** p * max(1.0, float(sigma[j] / sigma[i])) ** q
            for j in range(len(z))
        ]
        powers = torch.tensor(factors, dtype=z.dtype) * z.exp()
        gradient[n, :, row, column] = powers / powers.sum()
        gradient[n, i, row, column] -= 1
    return gradient


def test_seesaw_counts_what_it_is_trained_on() -> None:
    """Valid pixels add up over steps, in integers and before the loss; nothing is counted in eval mode."""
    logits, target = make_batch()
    module = Seesaw(K)
    counts = target[target != IGNORE].bincount(minlength=K)
    for steps in (1, 2, 3):
        result = module(logits, target)
        assert torch.equal(module.class_counts, steps * counts)
        assert torch.equal(result.total, seesaw(logits, target, steps * counts).total)
    module.eval()(logits, target)
    assert torch.equal(module.class_counts, 3 * counts)
    assert module.class_counts.dtype is torch.int64


def test_seesaw_goes_on_where_it_was_saved() -> None:
    """A module loaded from the state of another gives the loss that the other gives next."""
    logits, target = make_batch()
    first, second = Seesaw(K), Seesaw(K)
    first(logits, torch.full_like(target, 1))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(logits, target).total, second(logits, target).total)
    assert not torch.equal(Seesaw(K)(logits, target).total, second(logits, target).total)


def test_recall_weights_are_the_shares_of_missed_pixels() -> None:
    """Half missed, all missed, none missed (counted as one), not there; ignored pixels count nowhere."""
    target = torch.tensor([[[0, 0, 1, 2, 2, 2, 2, IGNORE]]])
    predicted = torch.tensor([[[0, 1, 0, 2, 2, 2, 2, 3]]])
    logits = torch.nn.functional.one_hot(predicted, 4).movedim(-1, 1).double()
    assert recall_weights(logits, target).tolist() == [0.5, 1.0, 0.25, 1.0]
    total, _ = recall_by_hand(logits, target)
    assert recall(logits, target).total.item() == pytest.approx(total)


def test_noise_is_clipped_and_scaled_by_class() -> None:
    """Never beyond 1, at the deviation asked; scales 1 for the rarest class and less for all others."""
    noise = clipped_noise(torch.zeros(2, K, 50, 50), sigma=0.3, generator=own_generator(1))
    assert noise.abs().max() <= 1
    assert noise.std().item() == pytest.approx(0.3, rel=0.02)
    scales = variation_of(COUNTS).tolist()
    wanted = [math.log(sum(COUNTS) / count) / math.log(sum(COUNTS)) for count in COUNTS]
    assert scales == pytest.approx(wanted)
    assert variation_of([7]).tolist() == [0]
    assert variation_of([7, 7]).tolist() == [1, 1]


def test_noise_belongs_to_the_module() -> None:
    """No global number is drawn; another step or seed gives other noise; a loaded state goes on with it."""
    logits, target = make_batch(torch.float32)
    before = torch.get_rng_state()
    first, other_seed, resumed = Blv(COUNTS), Blv(COUNTS, seed=1), Blv(COUNTS)
    totals = [first(logits, target).total.item() for _ in range(3)]
    assert torch.equal(torch.get_rng_state(), before)
    assert len({*totals, other_seed(logits, target).total.item()}) == 4
    resumed.load_state_dict({"step": torch.tensor(2)})
    assert resumed(logits, target).total.item() == totals[2]


def test_renaming_classes_and_noise_leaves_blv() -> None:
    """Permuting classes in logits, labels, counts and noise together leaves the loss."""
    logits, target = make_batch()
    order = torch.tensor([2, 0, 3, 1])
    table = torch.cat([order.argsort(), torch.full((252,), IGNORE)])
    noise = clipped_noise(logits, sigma=4.0, generator=own_generator(3))
    before = blv(logits, target, variation_of(COUNTS), noise)
    renamed = variation_of([COUNTS[old] for old in order.tolist()])
    after = blv(logits[:, order], table[target], renamed, noise[:, order])
    assert_near(after.total, before.total, torch.float32)


def test_dice_of_hard_predictions_follows_from_counts() -> None:
    """For certain predictions Dice is 2 TP / (2 TP + FP + FN) of each image and class present."""
    target = torch.tensor([[[0, 0, 0, 1, 1, IGNORE]], [[2, 2, 2, 2, 2, 2]]])
    predicted = torch.tensor([[[0, 0, 1, 1, 2, 0]], [[2, 2, 2, 2, 2, 0]]])
    logits = 100.0 * torch.nn.functional.one_hot(predicted, 3).movedim(-1, 1).double()
    wanted = (1 - 4 / 5) + (1 - 2 / 4) + (1 - 10 / 11)
    result = dice(logits, target)
    assert_near(result.total, torch.tensor(wanted, dtype=torch.float64), torch.float64)
    assert result.units.item() == 3


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.5], ids=str)
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("temperature", lambda value: LogitAdjusted(COUNTS, temperature=value)),
        ("temperature", lambda value: scaled_log_prior(COUNTS, temperature=value)),
        ("beta", lambda value: Reweighted(COUNTS, beta=value)),
        ("beta", lambda value: effective_number_weights(COUNTS, beta=value)),
        ("max_margin", lambda value: Ldam(COUNTS, max_margin=value)),
        ("scale", lambda value: Ldam(COUNTS, scale=value)),
        ("scale", lambda value: ldam(*make_batch(), torch.zeros(K), scale=value)),
        ("gamma", lambda value: Focal(gamma=value)),
        ("gamma", lambda value: focal(*make_batch(), gamma=value)),
        ("threshold", lambda value: Ohem(threshold=value)),
        ("min_kept", lambda value: ohem(*make_batch(), min_kept=value)),
        ("mitigation", lambda value: Seesaw(K, mitigation=value)),
        ("compensation", lambda value: seesaw(*make_batch(), torch.ones(K), compensation=value)),
        ("sigma", lambda value: Blv(COUNTS, sigma=value)),
    ],
)
def test_settings_out_of_bounds_are_named(name: str, make: Callable[[float], Any], value: float) -> None:
    """NaN, an infinite or a negative setting raises with its name, what it was and what is allowed."""
    with pytest.raises(ValueError, match=rf"^{name} is {value}; allowed: "):
        make(value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Reweighted(COUNTS, beta=1.0),
        lambda: Ldam(COUNTS, scale=0.0),
        lambda: Ohem(threshold=0.0),
        lambda: Ohem(min_kept=1.5),
    ],
)
def test_excluded_ends_are_refused(make: Callable[[], Any]) -> None:
    """beta 1, scale 0, a threshold of 0 and a share above 1 mean nothing."""
    with pytest.raises(ValueError, match="allowed: "):
        make()


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("log_prior", lambda logits, target, short: balanced_softmax(logits, target, short)),
        ("log_prior", lambda logits, target, short: logit_adjusted(logits, target, short)),
        ("margins", lambda logits, target, short: ldam(logits, target, short)),
        ("variation", lambda logits, target, short: blv(logits, target, short, torch.zeros_like(logits))),
        ("class_counts", lambda logits, target, short: seesaw(logits, target, short.long())),
        ("class_weights", lambda logits, target, short: cross_entropy(logits, target, class_weights=short)),
    ],
)
@pytest.mark.parametrize("length", [1, K - 1, K + 1])
def test_a_table_for_other_classes_is_refused(name: str, call: Any, length: int) -> None:
    """Not one value for each class: named, before one value alone could be broadcast."""
    logits, target = torch.zeros(1, K, 2, 2), torch.zeros(1, 2, 2, dtype=torch.int64)
    with pytest.raises(ValueError, match=rf"{name} must be \({K},\), .* got \({length},\)"):
        call(logits, target, torch.ones(length))
