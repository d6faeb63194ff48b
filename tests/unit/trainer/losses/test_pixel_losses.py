"""What is true of every pixel loss."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from tests.unit.trainer.losses.pixel_cases import COUNTS, MODULES, K, by_hand, make_batch
from tests.unit.trainer.losses.reference import GRADIENT_TOLERANCE, IGNORE, assert_near, batches
from trainer.losses.reduction import LossSum

FLOATS = (torch.bfloat16, torch.float16, torch.float32, torch.float64)
RARE = [0, 5, 1, 10**9, 3]  # counts of up to five classes, one of which never occurs
# Not sums over pixels: the hardest pixels of a batch, its IoU, its missed pixels, one noise for all of it.
OF_THE_BATCH = {"lovasz_batch", "ohem", "seesaw", "recall", "blv"}


def _counts(num_classes: int) -> list[int]:
    return RARE[:num_classes] if num_classes > 1 else [3]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", MODULES)
def test_loss_equals_its_written_out_formula(name: str, dtype: torch.dtype) -> None:
    """Sum and count are those of the definition, evaluated pixel by pixel in float64."""
    logits, target = make_batch(dtype)
    result: LossSum = MODULES[name](COUNTS)(logits, target)
    total, units = by_hand(name, logits, target)
    # Priors and weights are stored in float32.
    assert_near(result.total, torch.tensor(total), torch.float32)
    assert result.units.item() == units


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MODULES.keys() - {"seesaw"}))
def test_gradients_are_those_of_the_loss(name: str) -> None:
    """Finite differences agree in float64, ignored pixels included. (Seesaw's factors are held constant.)"""
    logits, target = make_batch()
    assert torch.autograd.gradcheck(
        lambda z: MODULES[name](COUNTS)(z, target).total, (logits.requires_grad_(),)
    )


@pytest.mark.parametrize("name", sorted(MODULES.keys() - OF_THE_BATCH))
def test_two_halves_add_to_the_whole(name: str) -> None:
    """Sums and counts of two parts of a batch are those of the batch."""
    logits, target = make_batch(images=4)
    module = MODULES[name](COUNTS)
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
    result: LossSum = MODULES[name](_counts(logits.shape[1]))(logits, target)
    (gradient,) = torch.autograd.grad(result.total, logits)
    assert result.total.dtype in (torch.float32, torch.float64)
    assert result.units.dtype is torch.int64
    assert result.total.isfinite()
    assert result.total >= -1e-4
    assert gradient.isfinite().all()
    if not result.units:
        assert result.total == 0
        assert not gradient.any()


@pytest.mark.parametrize("name", MODULES)
def test_no_valid_pixel_is_zero_with_a_graph(name: str) -> None:
    """Where every pixel is ignored: nothing counted, a sum of 0 that can be differentiated, to 0."""
    logits, target = make_batch()
    result: LossSum = MODULES[name](COUNTS)(logits.requires_grad_(), torch.full_like(target, IGNORE))
    (gradient,) = torch.autograd.grad(result.total, logits)
    assert result.total == 0
    assert result.units == 0
    assert not gradient.any()


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", MODULES)
def test_extreme_logits_are_finite(name: str, dtype: torch.dtype) -> None:
    """Logits of ±10000, right and wrong, and all equal: finite loss and gradient."""
    logits, target = make_batch()
    for extreme in (1e4 * logits.sign(), 1e4 * torch.ones_like(logits), torch.zeros_like(logits)):
        values = extreme.to(dtype).requires_grad_()
        result: LossSum = MODULES[name](COUNTS)(values, target)
        (gradient,) = torch.autograd.grad(result.total, values)
        assert result.total.isfinite()
        assert gradient.isfinite().all()


@pytest.mark.parametrize("name", MODULES)
@settings(max_examples=15, deadline=None)
@given(batch=batches([torch.float64]))
def test_ignored_pixels_change_nothing(name: str, batch: tuple[Tensor, Tensor, Tensor]) -> None:
    """Other logits under ignored pixels leave the loss and all gradients; the gradient there is zero."""
    logits, _, target = batch
    counts = _counts(logits.shape[1])
    ignored = (target == IGNORE)[:, None].expand_as(logits)
    other = torch.where(ignored, logits * -3 + 1, logits).requires_grad_()
    results = [MODULES[name](counts)(values, target) for values in (logits.requires_grad_(), other)]
    gradients = [
        torch.autograd.grad(result.total, values)[0]
        for result, values in zip(results, (logits, other), strict=True)
    ]
    assert torch.equal(results[0].total, results[1].total)
    assert torch.equal(*gradients)
    assert not gradients[0][ignored].any()


@pytest.mark.parametrize("name", sorted(MODULES.keys() - {"blv"}))
@settings(max_examples=15, deadline=None)
@given(batch=batches([torch.float64]))
def test_renaming_classes_changes_nothing(name: str, batch: tuple[Tensor, Tensor, Tensor]) -> None:
    """Permuting classes in logits, labels and counts together leaves every loss. (BLV: its noise as well.)"""
    logits, _, target = batch
    order = torch.randperm(logits.shape[1], generator=torch.Generator().manual_seed(1))
    counts = _counts(logits.shape[1])
    table = torch.cat([order.argsort(), torch.full((256 - len(order),), IGNORE)])
    before = MODULES[name](counts)(logits, target)
    after = MODULES[name]([counts[old] for old in order.tolist()])(logits[:, order], table[target])
    assert_near(after.total, before.total, torch.float32)
    assert after.units == before.units


@pytest.mark.parametrize("name", MODULES)
def test_autocast_does_not_narrow_the_sum(name: str) -> None:
    """Under bf16 autocast the loss of bf16 logits is that of the same logits in float32."""
    logits, target = make_batch(torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        narrow: LossSum = MODULES[name](COUNTS)(logits, target)
    assert narrow.total.dtype is torch.float32
    assert_near(narrow.total, MODULES[name](COUNTS)(logits.float(), target).total, torch.float32)


@pytest.mark.parametrize("name", MODULES)
def test_gradients_in_narrow_types_are_near(name: str) -> None:
    """The gradient by bf16 logits is that by the same values in float32, rounded."""
    logits, target = make_batch(torch.bfloat16)
    gradients = []
    for dtype in (torch.bfloat16, torch.float32):
        values = logits.to(dtype).requires_grad_()
        gradients.append(torch.autograd.grad(MODULES[name](COUNTS)(values, target).total, values)[0])
    assert gradients[0].dtype is torch.bfloat16
    assert_near(gradients[0], gradients[1], torch.bfloat16, GRADIENT_TOLERANCE)


@pytest.mark.parametrize("name", MODULES)
def test_only_what_training_accumulates_is_saved(name: str) -> None:
    """Priors and weights are buffers, so they follow type and device, but they are made from counts again."""
    module = MODULES[name](COUNTS)
    assert list(module.state_dict()) == {"seesaw": ["class_counts"], "blv": ["step"]}.get(name, [])
    floats = [buffer.dtype for buffer in module.double().buffers() if buffer.is_floating_point()]
    assert floats == [torch.float64] * len(floats)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize(
    ("label", "match"), [(K, f"allowed: 0 to {K - 1}, or 255"), (-1, "allowed"), (None, "labels, got")]
)
def test_labels_that_do_not_fit_are_refused(name: str, label: int | None, match: str) -> None:
    """A label out of range, or a map without a batch dimension, raises before anything is counted."""
    logits, target = make_batch()
    module = MODULES[name](COUNTS)
    wrong = target[0] if label is None else torch.full_like(target, label)
    with pytest.raises(ValueError, match=match):
        module(logits, wrong)
    assert not any(value.any() for value in module.state_dict().values())


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("size", [(1, 1), (5, 1), (3, 6), (10, 12)])
def test_labels_of_another_size_are_refused(name: str, size: tuple[int, int]) -> None:
    """Labels larger or smaller than the logits raise; those of one pixel are not stretched over the rest."""
    logits, _ = make_batch()
    module = MODULES[name](COUNTS)
    with pytest.raises(ValueError, match="labels, got"):
        module(logits, torch.zeros(2, *size, dtype=torch.int64))
    assert not any(value.any() for value in module.state_dict().values())
