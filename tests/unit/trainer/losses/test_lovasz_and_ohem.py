"""The two losses that mmseg has as well: equal where its own work, defined where they do not."""

from __future__ import annotations

import pytest
import torch
from mmseg.models.losses.lovasz_loss import lovasz_softmax
from mmseg.models.losses.ohem_cross_entropy_loss import OhemCrossEntropy
from torch import Tensor

from tests.unit.trainer.losses.pixel_cases import make_batch
from tests.unit.trainer.losses.reference import GRADIENT_TOLERANCE, IGNORE, assert_near
from trainer.losses.lovasz import lovasz
from trainer.losses.ohem import ohem


def _one_valid_pixel() -> tuple[Tensor, Tensor]:
    """A batch whose one valid pixel is certain and right."""
    target = torch.full((2, 3, 3), IGNORE)
    target[1, 0, 2] = 1
    logits = torch.zeros(2, 4, 3, 3)
    logits[:, 1] = 9
    return logits.requires_grad_(), target


@pytest.mark.parametrize("scope", ["batch", "image"])
def test_lovasz_is_mmsegs_where_that_works(scope: str) -> None:
    """Ordinary float32 input: value and gradient of mmseg's function, one unit or one for each image."""
    logits, target = make_batch(torch.float32, images=3)
    logits.requires_grad_()
    theirs = lovasz_softmax(logits.softmax(dim=1), target, per_image=scope == "image")
    ours = lovasz(logits, target, scope="image" if scope == "image" else "batch")
    assert ours.units == (3 if scope == "image" else 1)
    mean = ours.total / ours.units
    assert_near(mean, theirs, torch.float32)
    wanted, gradient = (torch.autograd.grad(loss, logits, retain_graph=True)[0] for loss in (theirs, mean))
    assert_near(gradient, wanted, torch.float32, GRADIENT_TOLERANCE)


@pytest.mark.parametrize("scope", ["batch", "image"])
def test_lovasz_of_one_pixel_is_its_error(scope: str) -> None:
    """One valid pixel: 1 - p_y, where mmseg's function raises."""
    logits, target = _one_valid_pixel()
    result = lovasz(logits, target, scope="image" if scope == "image" else "batch")
    assert result.units == 1
    assert_near(result.total, 1 - logits.detach()[1, :, 0, 2].softmax(0)[1], torch.float32)
    with pytest.raises(IndexError):
        lovasz_softmax(logits.softmax(dim=1), target)


def test_lovasz_of_hard_predictions_is_one_minus_iou() -> None:
    """For certain predictions the loss is 1 - IoU of each class present, averaged; images by themselves."""
    target = torch.tensor([[[0, 0, 0, 1, 1, IGNORE]], [[2, 2, 2, 2, 2, 2]]])
    predicted = torch.tensor([[[0, 0, 1, 1, 2, 0]], [[2, 2, 2, 2, 2, 0]]])
    logits = 1000.0 * torch.nn.functional.one_hot(predicted, 3).movedim(-1, 1).double()
    batch, image = lovasz(logits, target), lovasz(logits, target, scope="image")
    assert batch.total.item() == pytest.approx(1 - (2 / 4 + 1 / 3 + 5 / 7) / 3)
    assert image.total.item() == pytest.approx(1 - (2 / 3 + 1 / 3) / 2 + (1 - 5 / 6))
    assert (batch.units, image.units) == (1, 2)


def test_lovasz_images_without_a_valid_pixel_are_no_units() -> None:
    """An ignored image is in no mean; absent classes are in none either."""
    logits, target = make_batch()
    target[0] = IGNORE
    alone = lovasz(logits[1:], target[1:])
    for scope in ("batch", "image"):
        result = lovasz(logits, target, scope="image" if scope == "image" else "batch")
        assert result.units == 1
        assert_near(result.total, alone.total, torch.float64)


def test_another_lovasz_scope_is_refused() -> None:
    """The message has what is allowed."""
    with pytest.raises(ValueError, match="scope is 'pixel'; allowed: 'batch', 'image'"):
        lovasz(*make_batch(), scope="pixel")  # type: ignore[arg-type]


@pytest.mark.parametrize(("threshold", "share"), [(0.7, 0.1), (0.05, 0.3), (1e-6, 0.5)])
def test_ohem_is_mmsegs_where_that_works(threshold: float, share: float) -> None:
    """Value and gradient of mmseg's module, whether the threshold or the smallest number decides."""
    logits, target = make_batch(torch.float32)
    logits.requires_grad_()
    ours = ohem(logits, target, threshold=threshold, min_kept=share)
    fewest = -(-round(share * 10**6) * int((target != IGNORE).sum()) // 10**6)
    theirs = OhemCrossEntropy(thres=threshold, min_kept=fewest)(logits, target)
    mean = ours.total / ours.units
    assert_near(mean, theirs, torch.float32)
    wanted, gradient = (torch.autograd.grad(loss, logits, retain_graph=True)[0] for loss in (theirs, mean))
    assert_near(gradient, wanted, torch.float32, GRADIENT_TOLERANCE)


def test_ohem_keeps_a_pixel_where_none_is_hard() -> None:
    """One valid pixel that is certain: it is kept, where mmseg's module gives NaN."""
    logits, target = _one_valid_pixel()
    result = ohem(logits, target)
    assert result.units == 1
    assert 0 < result.total < 1e-3
    assert OhemCrossEntropy(thres=0.7, min_kept=1)(logits, target).isnan()


@pytest.mark.parametrize(("share", "kept"), [(0.07, 7), (0.071, 8), (1.0, 100), (1e-5, 1)])
def test_ohem_keeps_at_least_the_share(share: float, kept: int) -> None:
    """ceil(share * valid) pixels of 100, the hardest: without an extra one from rounding."""
    logits = torch.zeros(1, 2, 10, 20, dtype=torch.float64)
    logits[0, 1] = torch.linspace(1, 5, 200, dtype=torch.float64).view(10, 20)
    target = torch.full((1, 10, 20), IGNORE)
    target[0, 5:] = 1
    result = ohem(logits, target, threshold=1e-9, min_kept=share)
    assert result.units == kept
    hardest = torch.log1p(torch.exp(-logits[0, 1, 5:].flatten()[:kept])).sum()
    assert_near(result.total, hardest, torch.float64)


def test_ohem_leaves_other_pixels_without_gradient() -> None:
    """Pixels at or above the threshold get none; those below get that of cross-entropy."""
    logits, target = make_batch()
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(ohem(logits, target, threshold=0.3, min_kept=0.01).total, logits)
    probs = logits.detach().softmax(dim=1)
    at_target = probs.gather(1, target.clamp(max=probs.shape[1] - 1)[:, None])[:, 0]
    hard = (target != IGNORE) & (at_target < 0.3)
    assert torch.equal(gradient.any(dim=1), hard)
