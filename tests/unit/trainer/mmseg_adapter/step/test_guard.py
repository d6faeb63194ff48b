"""A loss or gradient that is not finite never moves the weights: on the host's way and on the device's."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from mmengine.optim import PolyLR
from torch import nn

from tests.on_device import settle, take
from trainer.base.errors import NonFiniteLoss
from trainer.mmseg_adapter.step.optim_wrapper import StepOptimWrapper

INF, NAN = float("inf"), float("nan")


def wrapper_of(model: nn.Module, *, kind: str = "SGD", fused: bool = False, **words: Any) -> StepOptimWrapper:
    settings: dict[str, Any] = {"momentum": 0.9} if kind == "SGD" else {}
    optimizer = getattr(torch.optim, kind)(model.parameters(), lr=0.1, fused=fused, **settings)
    return StepOptimWrapper(optimizer, **words)


def take_and_settle(
    model: nn.Module, wrapper: StepOptimWrapper, number: int, value: float, slope: float
) -> None:
    take(model, wrapper, number, value, slope)
    settle(wrapper)


WAYS = [("SGD", False), ("SGD", True), ("AdamW", False), ("AdamW", True)]


@pytest.mark.parametrize(("kind", "fused"), WAYS)
@pytest.mark.parametrize(("value", "slope"), [(NAN, NAN), (INF, 1.0), (1.0, INF), (1.0, NAN)])
def test_stop(kind: str, fused: bool, value: float, slope: float) -> None:
    """The run ends with the iteration, all numbers and the pictures; the weights are those of before."""
    model = nn.Linear(3, 1, bias=False)
    wrapper = wrapper_of(model, kind=kind, fused=fused)
    take(model, wrapper, 1, 1.0, 1.0)
    before = model.weight.detach().clone()
    with pytest.raises(NonFiniteLoss, match=r"at iteration 2 \(loss_pixel .*norm .*\); pictures: p2.png"):
        take_and_settle(model, wrapper, 2, value, slope)
    assert torch.equal(model.weight, before)


@pytest.mark.parametrize(("kind", "fused"), WAYS)
def test_skip(kind: str, fused: bool) -> None:
    """Up to n steps are left out, as if they had not been: weights and momentum are those of the others."""
    model, other = nn.Linear(3, 1, bias=False), nn.Linear(3, 1, bias=False)
    other.load_state_dict(model.state_dict())
    wrapper = wrapper_of(model, kind=kind, fused=fused, most_skipped=2)
    plain = wrapper_of(other, kind=kind, fused=fused)
    for number, slope in enumerate((1.0, NAN, 0.5, INF, 2.0), start=1):
        take(model, wrapper, number, 1.0, slope)
        if slope < INF:
            take(other, plain, number, 1.0, slope)
    assert torch.equal(model.weight, other.weight)
    told = settle(wrapper)
    assert [iteration for iteration, _ in told] == [2, 4]
    assert "p4.png; 0 more may be" in told[1][1]
    assert wrapper.guard.skipped == 2
    with pytest.raises(NonFiniteLoss):
        take_and_settle(model, wrapper, 6, NAN, NAN)


def test_the_very_first_step_may_be_left_out() -> None:
    """Momentum then begins with the first that is taken, on the device's way too."""
    results = []
    for fused in (False, True):
        model = nn.Linear(3, 1, bias=False)
        nn.init.ones_(model.weight)
        wrapper = wrapper_of(model, fused=fused, most_skipped=1)
        take(model, wrapper, 1, NAN, NAN)
        for number in (2, 3):
            take(model, wrapper, number, 1.0, 1.0)
        results.append(model.weight.detach())
    torch.testing.assert_close(results[0], results[1])


@pytest.mark.parametrize("fused", [False, True])
def test_a_rate_follows_also_a_first_step_that_is_left_out(fused: bool) -> None:
    """mmengine's scheduler takes it for a step, without a warning; the rate is that of the iteration."""
    rates = []
    for first in (NAN, 1.0):
        model = nn.Linear(3, 1, bias=False)
        wrapper = wrapper_of(model, fused=fused, most_skipped=1)
        scheduler = PolyLR(wrapper, eta_min=0.0, power=1.0, begin=0, end=4, by_epoch=False)
        for number, slope in ((1, first), (2, 1.0)):
            take(model, wrapper, number, slope, slope)
            scheduler.step()
        rates.append(wrapper.get_lr()["lr"])
    assert rates[0] == rates[1] < [0.1]


def test_what_was_skipped_is_kept() -> None:
    """A resumed run goes on with what is left of its allowance."""
    model = nn.Linear(3, 1, bias=False)
    wrapper = wrapper_of(model, most_skipped=1)
    take(model, wrapper, 1, 1.0, 1.0)
    take(model, wrapper, 2, NAN, NAN)
    resumed = wrapper_of(model, most_skipped=1)
    resumed.load_state_dict(wrapper.state_dict())
    with pytest.raises(NonFiniteLoss):
        take(model, resumed, 3, NAN, NAN)


def test_the_largest_norm() -> None:
    """A gradient is shortened to it, and a shorter one is not lengthened."""
    for slope, moved in ((3.0, 0.1), (0.1, 0.02)):
        model = nn.Linear(4, 1, bias=False)
        before = model.weight.detach().clone()
        take(model, wrapper_of(model, clip_gradient_norm=1.0), 1, 1.0, slope)
        assert float((model.weight.detach() - before).norm()) == pytest.approx(moved, rel=1e-4)


def test_a_scaled_loss_that_overflows_is_scaled_by_less() -> None:
    """fp16: an infinite gradient under a finite loss moves nothing and halves the scale."""
    model = nn.Linear(3, 1, bias=False)
    wrapper = wrapper_of(model, precision="fp16")
    take(model, wrapper, 1, 1.0, 1.0)
    before, scale = model.weight.detach().clone(), wrapper.state_dict()["scaler"]["scale"]
    take(model, wrapper, 2, 1.0, INF)
    assert torch.equal(model.weight, before)
    assert wrapper.state_dict()["scaler"]["scale"] == scale / 2
    resumed = wrapper_of(model, precision="fp16")
    resumed.load_state_dict(wrapper.state_dict())
    assert resumed.state_dict()["scaler"] == wrapper.state_dict()["scaler"]
    with pytest.raises(NonFiniteLoss):
        take(model, wrapper, 3, NAN, NAN)


def test_the_error_crosses_processes() -> None:
    """It unpickles with all it knows."""
    error = NonFiniteLoss(7, "loss_pixel", NAN, {"loss_pixel": NAN, "gradient norm": 2.0}, ("a.png",))
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error)
    assert copy.pictures == ("a.png",)
    assert str(error) == (
        "loss_pixel is nan at iteration 7 (loss_pixel nan, gradient norm 2); pictures: a.png"
    )
