from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.variants import IGNORE, IMAGES, VARIANTS, make_criterion

K, D = 3, 4
METHODS: list[dict[str, Any]] = [
    *VARIANTS.values(),
    {"kind": "reweighting", "weights": "effective_number", "prior": "region"},
    {"kind": "lovasz", "scope": "image", "cross_entropy": True},
    {"kind": "region_rebalance", "lambda": 0.0, "rebalance": "none", "scope": "batch"},
    {"kind": "region_rebalance", "projection": 8, "classifier": "etf", "label_smoothing": 0.3},
]


def _batch() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, K, 8, 8, generator=generator)
    features = torch.randn(2, D, 2, 2, generator=generator)
    target = torch.randint(0, K, (2, 8, 8), generator=generator)
    target[0, :2] = IGNORE
    return logits.requires_grad_(), features.requires_grad_(), target


@pytest.mark.parametrize("document", METHODS, ids=str)
def test_every_method_gives_differentiable_losses_and_plain_logs(document: dict[str, Any]) -> None:
    """All keys with "loss" in them have a graph, the others have none; everything is one finite float."""
    losses = make_criterion(document)(*_batch())
    assert any(name.startswith("loss_") for name in losses)
    for name, value in losses.items():
        assert value.shape == ()
        assert value.is_floating_point()
        assert value.isfinite()
        assert value.requires_grad is ("loss" in name)


def test_baseline_is_the_mean_over_valid_pixels() -> None:
    """The baseline is torch's own mean cross-entropy, which leaves ignored pixels out of the divisor."""
    logits, features, target = _batch()
    wanted = functional.cross_entropy(logits, target, ignore_index=IGNORE)
    torch.testing.assert_close(
        make_criterion({"kind": "baseline"})(logits, features, target)["loss_pixel"], wanted
    )


def _main_loss(document: dict[str, Any], **changes: Any) -> tuple[Tensor, Tensor]:
    """() loss_pixel on the batch, and its (N, K, H, W) gradient by the logits."""
    logits, features, target = _batch()
    value = make_criterion(document, **changes)(logits, features, target)["loss_pixel"]
    return value.detach(), torch.autograd.grad(value, logits)[0]


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "reweighting", "weights": "effective_number", "beta": 0.0},
        {"kind": "logit_adjustment", "temperature": 0.0},
        {"kind": "logit_adjustment", "mode": "post_hoc"},
        {"kind": "ldam", "max_margin": 0.0, "scale": 1.0},
        {"kind": "focal", "gamma": 0.0},
        {"kind": "seesaw", "mitigation": 0.0, "compensation": 0.0},
        {"kind": "blv", "sigma": 0.0},
        {"kind": "lovasz", "cross_entropy": True},
        {"kind": "region_rebalance", "lambda": 0.0},
    ],
    ids=str,
)
def test_switched_off_is_the_baseline(document: dict[str, Any]) -> None:
    """With its parameter at zero a method's pixel loss and gradient are the baseline's, bit for bit."""
    ours, baseline = _main_loss(document), _main_loss({"kind": "baseline"})
    assert all(torch.equal(*pair) for pair in zip(ours, baseline, strict=True))


def test_keeping_all_pixels_is_the_baseline() -> None:
    """OHEM with a share of 1 is the mean over valid pixels, up to rounding."""
    ours = _main_loss({"kind": "ohem", "min_kept": 1.0, "threshold": 1.0})
    for mine, baseline in zip(ours, _main_loss({"kind": "baseline"}), strict=True):
        torch.testing.assert_close(mine, baseline)


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "reweighting"},
        {"kind": "reweighting", "weights": "effective_number"},
        {"kind": "balanced_softmax"},
        {"kind": "logit_adjustment", "temperature": 0.5},
        {"kind": "ldam"},
        {"kind": "blv"},
    ],
    ids=str,
)
def test_priors_follow_the_method(document: dict[str, Any]) -> None:
    """Pixel counts unless image counts are asked for, and each of them where it is asked for."""
    pixel, _ = _main_loss(document)
    region, _ = _main_loss({**document, "prior": "region"})
    assert pixel != region
    assert pixel == _main_loss({**document, "prior": "pixel"})[0]
    assert region == _main_loss(document, pixel_counts=IMAGES)[0]


def test_a_uniform_prior_is_the_baseline() -> None:
    """Nothing to balance: up to rounding the baseline's loss."""
    plain, _ = _main_loss({"kind": "baseline"})
    for document in ({"kind": "balanced_softmax"}, {"kind": "logit_adjustment", "temperature": 3.0}):
        torch.testing.assert_close(_main_loss(document, pixel_counts=[9] * K)[0], plain)


def test_logit_adjustment_at_one_is_balanced_softmax() -> None:
    """In training with temperature 1 and the same prior: the same bits."""
    for prior in ("pixel", "region"):
        ours = _main_loss({"kind": "logit_adjustment", "prior": prior})
        other = _main_loss({"kind": "balanced_softmax", "prior": prior})
        assert all(torch.equal(*pair) for pair in zip(ours, other, strict=True))


def test_only_post_hoc_adjustment_shifts_predictions() -> None:
    """By temperature times the log prior, of the counts asked for; all others predict as they are."""
    for document in METHODS:
        shift = make_criterion(document).prediction_shift
        assert (shift is not None) is (document.get("mode") == "post_hoc")
    shift = make_criterion(
        {"kind": "logit_adjustment", "mode": "post_hoc", "temperature": 0.5, "prior": "region"}
    ).prediction_shift
    assert shift is not None
    torch.testing.assert_close(shift, 0.5 * (torch.tensor(IMAGES) / sum(IMAGES)).log())


def test_region_loss_is_weighted_by_lambda() -> None:
    """Doubling lambda doubles the region loss and leaves the pixel loss, bit for bit; lambda 0 gives 0."""
    batch = _batch()
    single, double, none = (
        make_criterion({"kind": "region_rebalance", "lambda": value})(*batch) for value in (0.25, 0.5, 0.0)
    )
    assert double["loss_region"] == 2 * single["loss_region"] > 0
    assert none["loss_region"] == 0
    assert single["loss_pixel"] == double["loss_pixel"] == none["loss_pixel"]


@pytest.mark.parametrize("kind", ["dice", "lovasz"])
def test_with_cross_entropy_there_are_two_losses(kind: str) -> None:
    """Both terms appear under their own names, and are those of the single methods."""
    batch = _batch()
    both = make_criterion({"kind": kind, "cross_entropy": True})(*batch)
    alone = make_criterion({"kind": kind})(*batch)
    assert alone.keys() == {f"loss_{kind}"}
    assert both.keys() == {f"loss_{kind}", "loss_pixel"}
    assert both[f"loss_{kind}"] == alone[f"loss_{kind}"]
    assert both["loss_pixel"] == make_criterion({"kind": "baseline"})(*batch)["loss_pixel"]


def test_only_what_training_changes_is_saved() -> None:
    """Priors and weights are made from counts again; a branch, Seesaw's counts and BLV's step are kept."""
    saved = {"region_rebalance": "region_branch.", "seesaw": "pixel_losses.loss_pixel.class_counts"}
    saved["blv"] = "pixel_losses.loss_pixel.step"
    for document in METHODS:
        names = make_criterion(document).state_dict()
        assert all(name.startswith(saved[document["kind"]]) for name in names)
        assert bool(names) is (document["kind"] in saved)


@pytest.mark.parametrize("name", ["baseline", "region_rebalance", "dice"])
def test_a_mean_over_all_pixels(name: str) -> None:
    """`all` divides pixel losses by all pixels, void ones too, and leaves means over regions alone."""
    logits, features = torch.randn(2, 3, 4, 6), torch.randn(2, 4, 2, 3)
    target = torch.randint(0, 3, (2, 4, 6))
    target[0, :2] = IGNORE
    share = float((target != IGNORE).float().mean())
    losses = {}
    for average in ("valid", "all"):
        criterion = make_criterion(VARIANTS[name], loss_average=average).eval()
        losses[average] = criterion(logits, features, target)
    for key, value in losses["valid"].items():
        wanted = value * share if key == "loss_pixel" else value
        torch.testing.assert_close(losses["all"][key], wanted, equal_nan=True)
