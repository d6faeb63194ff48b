from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor
from torch.nn import functional

from trainer.criterion import Criterion, build_criterion
from trainer.methods import AnyMethod, Method

K, D, IGNORE = 3, 4, 255
PIXELS, IMAGES = [500, 50, 5], [30, 10, 2]
METHODS: list[dict[str, Any]] = [
    {"kind": "baseline"},
    {"kind": "reweighting"},
    {"kind": "balanced_softmax"},
    {"kind": "balanced_softmax", "prior": "region"},
    {"kind": "dice"},
    {"kind": "dice", "cross_entropy": True},
    {"kind": "region_rebalance"},
    {"kind": "region_rebalance", "lambda": 0.0, "rebalance": "none", "scope": "batch"},
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


def test_priors_follow_the_method() -> None:
    """Balanced softmax takes pixel counts or image counts, as asked; a uniform prior is the baseline."""
    batch = _batch()

    def loss(document: dict[str, Any], **changes: Any) -> Tensor:
        value: Tensor = _criterion(document, **changes)(*batch)["loss_pixel"]
        return value

    pixel, region = {"kind": "balanced_softmax"}, {"kind": "balanced_softmax", "prior": "region"}
    assert loss(pixel) != loss(region)
    assert loss(pixel, pixel_counts=IMAGES) == loss(region)
    torch.testing.assert_close(loss(pixel, pixel_counts=[9] * K), loss({"kind": "baseline"}))


def test_region_loss_is_weighted_by_lambda() -> None:
    """Doubling lambda doubles the region loss and leaves the pixel loss, bit for bit; lambda 0 gives 0."""
    batch = _batch()
    single, double, none = (
        _criterion({"kind": "region_rebalance", "lambda": value})(*batch) for value in (0.25, 0.5, 0.0)
    )
    assert double["loss_region"] == 2 * single["loss_region"] > 0
    assert none["loss_region"] == 0
    assert single["loss_pixel"] == double["loss_pixel"] == none["loss_pixel"]


def test_dice_with_cross_entropy_is_their_sum() -> None:
    """Both terms appear under their own names, and are those of the single methods."""
    batch = _batch()
    both = _criterion({"kind": "dice", "cross_entropy": True})(*batch)
    assert both["loss_dice"] == _criterion({"kind": "dice"})(*batch)["loss_dice"]
    assert both["loss_pixel"] == _criterion({"kind": "baseline"})(*batch)["loss_pixel"]


def test_only_the_branch_has_anything_to_save() -> None:
    """Priors and weights are made from counts again; the state is the region classifier's alone."""
    for document in METHODS:
        names = _criterion(document).state_dict()
        assert all(name.startswith("region_branch.classifier.") for name in names)
        assert bool(names) is (document["kind"] == "region_rebalance")


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
