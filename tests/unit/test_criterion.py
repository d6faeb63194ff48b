from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import BaseModel, TypeAdapter, ValidationError
from torch import Tensor
from torch.nn import functional

from trainer.criterion import Criterion, build_criterion
from trainer.methods import METHODS as KINDS
from trainer.methods import AnyMethod, Method

K, D, IGNORE = 3, 4, 255
PIXELS, IMAGES = [500, 50, 5], [30, 10, 2]
METHODS: list[dict[str, Any]] = [
    {"kind": "baseline"},
    {"kind": "reweighting"},
    {"kind": "reweighting", "weights": "effective_number", "prior": "region"},
    {"kind": "balanced_softmax"},
    {"kind": "balanced_softmax", "prior": "region"},
    {"kind": "logit_adjustment"},
    {"kind": "logit_adjustment", "mode": "post_hoc"},
    {"kind": "ldam"},
    {"kind": "focal"},
    {"kind": "lovasz"},
    {"kind": "lovasz", "scope": "image", "cross_entropy": True},
    {"kind": "ohem"},
    {"kind": "seesaw"},
    {"kind": "recall"},
    {"kind": "blv"},
    {"kind": "dice"},
    {"kind": "dice", "cross_entropy": True},
    {"kind": "region_rebalance"},
    {"kind": "region_rebalance", "lambda": 0.0, "rebalance": "none", "scope": "batch"},
    {"kind": "region_rebalance", "projection": 8, "classifier": "etf", "label_smoothing": 0.3},
]


def _method(document: dict[str, Any]) -> AnyMethod:
    method: AnyMethod = TypeAdapter(Method).validate_python(document)
    return method


def _criterion(document: dict[str, Any], **changes: Any) -> Criterion:
    arguments: dict[str, Any] = {
        "pixel_counts": PIXELS,
        "region_counts": IMAGES,
        "feature_channels": D,
        "ignore_index": IGNORE,
        "seed": 0,
        "align_corners": False,
    }
    return build_criterion(_method(document), **{**arguments, **changes})


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
    losses = _criterion(document)(*_batch())
    assert any(name.startswith("loss_") for name in losses)
    for name, value in losses.items():
        assert value.shape == ()
        assert value.is_floating_point()
        assert value.isfinite()
        assert value.requires_grad is ("loss" in name)


@pytest.mark.parametrize("document", METHODS, ids=str)
def test_all_ignored_crops_give_zero_with_a_graph(document: dict[str, Any]) -> None:
    """Where no pixel counts every loss is 0, and every parameter and input gets a zero gradient."""
    criterion = _criterion(document)
    logits, features, target = _batch()
    losses = criterion(logits, features, torch.full_like(target, IGNORE))
    total = sum(value for name, value in losses.items() if "loss" in name)
    assert isinstance(total, Tensor)
    total.backward()
    assert total == 0
    inputs = [logits, *criterion.parameters(), *([features] if criterion.region_branch else [])]
    assert all(value.grad is not None and not value.grad.any() for value in inputs)


def test_baseline_is_the_mean_over_valid_pixels() -> None:
    """The baseline is torch's own mean cross-entropy, which leaves ignored pixels out of the divisor."""
    logits, features, target = _batch()
    wanted = functional.cross_entropy(logits, target, ignore_index=IGNORE)
    torch.testing.assert_close(
        _criterion({"kind": "baseline"})(logits, features, target)["loss_pixel"], wanted
    )


def test_every_kind_is_tested_here() -> None:
    """The list above has each kind of method."""
    assert {document["kind"] for document in METHODS} == set(KINDS)


def _main_loss(document: dict[str, Any], **changes: Any) -> tuple[Tensor, Tensor]:
    """() loss_pixel on the batch, and its (N, K, H, W) gradient by the logits."""
    logits, features, target = _batch()
    value = _criterion(document, **changes)(logits, features, target)["loss_pixel"]
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
        shift = _criterion(document).prediction_shift
        assert (shift is not None) is (document.get("mode") == "post_hoc")
    shift = _criterion(
        {"kind": "logit_adjustment", "mode": "post_hoc", "temperature": 0.5, "prior": "region"}
    ).prediction_shift
    assert shift is not None
    torch.testing.assert_close(shift, 0.5 * (torch.tensor(IMAGES) / sum(IMAGES)).log())


@pytest.mark.parametrize("name", ["beta", "temperature", "max_margin", "scale", "gamma", "threshold",
                                  "min_kept", "mitigation", "compensation", "sigma", "lambda"])  # fmt: skip
@pytest.mark.parametrize("value", [math.nan, math.inf], ids=str)
def test_no_spec_has_a_parameter_that_is_no_number(name: str, value: float) -> None:
    """NaN and infinity are refused before a criterion is made."""
    (kind,) = [kind for kind, model in KINDS.items() if name in _field_names(model)]
    with pytest.raises(ValidationError, match=name):
        _method({"kind": kind, name: value})


def _field_names(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def test_region_loss_is_weighted_by_lambda() -> None:
    """Doubling lambda doubles the region loss and leaves the pixel loss, bit for bit; lambda 0 gives 0."""
    batch = _batch()
    single, double, none = (
        _criterion({"kind": "region_rebalance", "lambda": value})(*batch) for value in (0.25, 0.5, 0.0)
    )
    assert double["loss_region"] == 2 * single["loss_region"] > 0
    assert none["loss_region"] == 0
    assert single["loss_pixel"] == double["loss_pixel"] == none["loss_pixel"]


@pytest.mark.parametrize("kind", ["dice", "lovasz"])
def test_with_cross_entropy_there_are_two_losses(kind: str) -> None:
    """Both terms appear under their own names, and are those of the single methods."""
    batch = _batch()
    both = _criterion({"kind": kind, "cross_entropy": True})(*batch)
    alone = _criterion({"kind": kind})(*batch)
    assert alone.keys() == {f"loss_{kind}"}
    assert both.keys() == {f"loss_{kind}", "loss_pixel"}
    assert both[f"loss_{kind}"] == alone[f"loss_{kind}"]
    assert both["loss_pixel"] == _criterion({"kind": "baseline"})(*batch)["loss_pixel"]


def test_only_what_training_changes_is_saved() -> None:
    """Priors and weights are made from counts again; a branch, Seesaw's counts and BLV's step are kept."""
    saved = {"region_rebalance": "region_branch.", "seesaw": "pixel_losses.loss_pixel.class_counts"}
    saved["blv"] = "pixel_losses.loss_pixel.step"
    for document in METHODS:
        names = _criterion(document).state_dict()
        assert all(name.startswith(saved[document["kind"]]) for name in names)
        assert bool(names) is (document["kind"] in saved)


@pytest.mark.parametrize(
    "changes",
    [
        {"pixel_counts": [1, 2]},
        {"pixel_counts": [5, -1, 3], "region_counts": [1, 1, 1]},
        {"pixel_counts": [0, 0, 0]},
    ],
    ids=str,
)
def test_count_tables_that_do_not_fit_are_refused(changes: dict[str, Any]) -> None:
    """Another number of classes, negative counts or no count at all raise when the criterion is made."""
    with pytest.raises(ValueError, match="count"):
        _criterion({"kind": "balanced_softmax"}, **changes)


@pytest.mark.parametrize("document", METHODS, ids=str)
def test_logits_of_another_number_of_classes_are_refused(document: dict[str, Any]) -> None:
    """A model with more or fewer classes than the count table raises with both numbers."""
    _, features, target = _batch()
    with pytest.raises(ValueError, match=r"5 logits .* 3 classes"):
        _criterion(document)(torch.zeros(2, 5, 8, 8), features, target)
