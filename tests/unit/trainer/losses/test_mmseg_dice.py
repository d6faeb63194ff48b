"""Dice in mmsegmentation's form, against mmsegmentation's own loss."""

from __future__ import annotations

import pytest
import torch
from mmseg.models.losses import DiceLoss
from torch import Tensor

from tests.unit.trainer.losses.reference import random_labels
from tests.variants import make_method
from trainer.losses.dice import Dice, mmseg_dice
from trainer.spec.methods import label
from trainer.spec.spec import canonical_json, parse_spec, spec_hash

IGNORE = 255


def batch(classes: int, images: int, side: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(classes)
    logits = 3 * torch.randn(images, classes, side, side, generator=generator)
    return logits.requires_grad_(), random_labels(generator, (images, side, side), classes)


@pytest.mark.parametrize(("classes", "images", "side"), [(2, 1, 8), (4, 3, 16), (150, 2, 64)])
@pytest.mark.parametrize("void", [False, True])
def test_value_and_gradient_are_mmsegs(classes: int, images: int, side: int, void: bool) -> None:
    """With ignored pixels, and with a picture of nothing else; mmseg's loss has all its defaults."""
    logits, target = batch(classes, images, side)
    assert (target == IGNORE).any()
    if void:
        target[0] = IGNORE
    theirs = DiceLoss()(logits, target)
    ours = mmseg_dice(logits, target)
    assert ours.units == images
    torch.testing.assert_close(ours.total / ours.units, theirs, rtol=1e-6, atol=1e-6)
    gradients = [torch.autograd.grad(loss, logits)[0] for loss in (ours.total / ours.units, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-9)


def test_gradcheck() -> None:
    """In float64, with ignored pixels."""
    logits, target = batch(3, 2, 4)
    assert torch.autograd.gradcheck(
        lambda z: mmseg_dice(z, target).total, logits.detach().double().requires_grad_()
    )


def test_the_form_chooses() -> None:
    """The module computes the form it is made with; ours without a word."""
    logits, target = batch(4, 2, 8)
    ours, mmsegs = Dice()(logits, target), Dice(form="mmseg")(logits, target)
    assert mmsegs == mmseg_dice(logits, target)
    assert ours.total != mmsegs.total


def test_specs_without_the_form_are_as_before_it() -> None:
    """Stored, hashed and called as they were; another form is another experiment."""
    document = {"dataset": "digit_scenes", "model": "small", "method": "dice"}
    plain = parse_spec(document)
    said = parse_spec({**document, "method": {"kind": "dice", "form": "region"}})
    mmsegs = parse_spec({**document, "method": {"kind": "dice", "form": "mmseg"}})
    assert '"method":{"cross_entropy":false,"kind":"dice"}' in canonical_json(plain)
    assert spec_hash(plain) == spec_hash(said) != spec_hash(mmsegs)
    assert parse_spec(mmsegs.model_dump(mode="json")) == mmsegs
    assert label(make_method({"kind": "dice", "form": "mmseg"})) == "dice (form=mmseg)"
