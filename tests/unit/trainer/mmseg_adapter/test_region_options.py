"""The region branch's options on an mmseg model: neither the pixel path nor what is deployed sees them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from tests.unit.trainer.tiny_mmseg import (
    FCN,
    IGNORE,
    REBALANCE,
    K,
    factory,
    losses_of,
    make_batch,
    make_model,
    mmseg_scope,
    train,
)
from trainer.criterion import Criterion, build_criterion
from trainer.mmseg_adapter.head import attach
from trainer.spec.methods import AnyMethod, Method

OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "ablation I": {"rebalance": "none"},
    "batch": {"scope": "batch"},
    "projection": {"projection": 8},
    "etf": {"classifier": "etf"},
    "smoothing": {"label_smoothing": 0.5},
    "all": {"projection": 8, "classifier": "etf", "label_smoothing": 0.5, "scope": "batch"},
}
STEPS = 20


@pytest.fixture(autouse=True)
def _mmseg() -> Iterator[None]:
    with mmseg_scope():
        yield


@pytest.fixture(scope="module")
def baseline() -> dict[str, torch.Tensor]:
    """The baseline's weights after all steps."""
    with mmseg_scope():
        return train(attached(kind="baseline"), STEPS)


def attached(**method: Any) -> nn.Module:
    # Some heads of mmseg initialise by layer type; the branch must have none of these.
    head = {**FCN, "init_cfg": {"type": "Normal", "layer": ["Linear", "Conv2d", "BatchNorm2d"], "std": 0.1}}
    model = make_model(head)
    attach(model, factory(**method))
    return model


def criterion(*, class_groups: list[Any] | None = None, **options: Any) -> Criterion:
    method: AnyMethod = TypeAdapter(Method).validate_python({**REBALANCE, **options})
    return build_criterion(
        method,
        pixel_counts=[1000, 100, 10, 1],
        region_counts=[100, 50, 5, 1],
        feature_channels=6,
        ignore_index=IGNORE,
        seed=0,
        align_corners=False,
        class_groups=class_groups,
    )


@pytest.mark.parametrize("name", OPTIONS)
def test_lambda_zero_is_the_baseline_after_20_steps(name: str, baseline: dict[str, torch.Tensor]) -> None:
    """The branch running, its loss times 0: the baseline's weights bit for bit."""
    state = train(attached(**REBALANCE, **OPTIONS[name], **{"lambda": 0.0}), STEPS)
    assert state.keys() == baseline.keys()
    assert all(torch.equal(state[key], baseline[key]) for key in baseline)


@pytest.mark.parametrize("name", OPTIONS)
def test_initialising_again_leaves_the_branch_alone(name: str) -> None:
    """mmseg's init_weights draws for the head as if no branch were there, and does not touch the branch."""
    model, plain = attached(**REBALANCE, **OPTIONS[name]), attached(kind="baseline")
    branch = {key: value.clone() for key, value in model.state_dict().items() if "criterion" in key}
    for one in (model, plain):
        torch.manual_seed(3)
        one.decode_head.init_weights()  # type: ignore[operator, union-attr]
    state = model.state_dict()
    assert all(torch.equal(state[key], value) for key, value in {**plain.state_dict(), **branch}.items())


@pytest.mark.parametrize("name", OPTIONS)
def test_the_deployable_state_has_nothing_of_the_branch(name: str) -> None:
    """It loads strictly into the plain model, which predicts the same bits."""
    model = attached(**REBALANCE, **OPTIONS[name])
    state = train(model, 2)
    plain = make_model(FCN)
    plain.load_state_dict(state, strict=True)
    pictures, _ = make_batch(9)
    with torch.no_grad():
        assert torch.equal(plain.eval()(pictures), model.eval()(pictures))


@pytest.mark.parametrize("name", OPTIONS)
def test_every_parameter_of_the_branch_learns(name: str) -> None:
    """With lambda above 0 each parameter of the branch moves, and the backbone with it."""
    model: Any = attached(**REBALANCE, **OPTIONS[name])
    branch = model.decode_head.rebalance_criterion.region_branch
    before = {key: value.clone() for key, value in branch.named_parameters()}
    state = train(model, 2)
    assert not [key for key, value in branch.named_parameters() if torch.equal(value, before[key])]
    plain = train(attached(kind="baseline"), 2)
    key = "backbone.stages.0.0.weight"
    assert not torch.equal(state[key], plain[key])


@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "default"])
def test_every_option_changes_the_loss(name: str) -> None:
    """None is silently left out."""
    values = [losses_of(attached(**REBALANCE, **one))["decode.loss_region"] for one in ({}, OPTIONS[name])]
    assert not torch.equal(*values)


def test_the_options_reach_the_branch() -> None:
    """Channels of the projection, the frame's size and the smoothing are those of the spec."""
    branch = criterion(projection=16, classifier="etf", label_smoothing=0.25).region_branch
    assert branch is not None
    shapes = {key: tuple(value.shape) for key, value in branch.state_dict().items()}
    assert shapes["projection.weight"] == (16, 6, 1, 1)
    assert shapes["classifier.hidden_weight"] == (512, 16)
    assert shapes["classifier.frame"] == (512, K)
    assert branch.label_smoothing == 0.25


def test_accuracies_of_head_and_tail_are_logged_where_groups_are_known() -> None:
    """With class groups: head and tail beside the overall one; without: the overall one alone."""
    features, target = torch.randn(2, 6, 4, 4), torch.randint(0, K, (2, 8, 8))
    batch = torch.randn(2, K, 8, 8), features, target
    overall = {"loss_pixel", "loss_region", "num_regions", "region_acc"}
    assert set(criterion()(*batch)) == overall
    groups = ["head", "body", "body", "tail"]
    losses = criterion(class_groups=groups)(*batch)
    assert set(losses) == overall | {"region_acc_head", "region_acc_tail"}
    without = criterion(class_groups=groups)(*batch[:2], torch.where(target == 3, 0, target))
    assert without["region_acc_tail"].isnan()
    assert without["region_acc_head"].isfinite()


def test_the_branch_comes_last_in_backward() -> None:
    """Its gradient, as large as the features, is made after the pixel loss has let go of its own tensors."""
    logits, features = torch.randn(2, K, 8, 8).requires_grad_(), torch.randn(2, 6, 4, 4).requires_grad_()
    order: list[str] = []
    logits.register_hook(lambda _: order.append("logits"))
    features.register_hook(lambda _: order.append("features"))
    losses = criterion()(logits, features, torch.randint(0, K, (2, 8, 8)))
    (losses["loss_pixel"] + losses["loss_region"]).backward()
    assert order == ["logits", "features"]


def test_class_groups_of_another_length_are_refused() -> None:
    """Both numbers are named."""
    with pytest.raises(ValueError, match="2 class groups but counts for 4 classes"):
        criterion(class_groups=["head", "tail"])
