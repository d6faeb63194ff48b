"""Claims that hold on any device, as functions of it: of the CPU in `tests/unit`, of GPUs in `tests/gpu`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.factories import ListSink, tiny_plan
from tests.variants import IGNORE, make_criterion
from trainer.base.errors import NonFiniteLoss
from trainer.mmseg_adapter.step.optim_wrapper import StepOptimWrapper
from trainer.run.worker import train

PRECISIONS = ("float32", "bf16")
# Of the largest value: sums in float32, and gradients that autograd rounds to bf16 on their way.
_OF_LOSSES = 1e-5
_OF_GRADIENTS = {"float32": 1e-4, "bf16": 1e-2}
_INF, _NAN = float("inf"), float("nan")
BAD_STEPS = [(_NAN, _NAN), (_INF, 1.0), (1.0, _INF), (1.0, _NAN)]  # loss, gradient
FUSED = {"SGD": {"momentum": 0.9}, "AdamW": {}}


def check_losses(document: dict[str, Any], device: str, precision: str) -> None:
    """Losses and gradients of a method are those of float64 on the CPU; under bf16 for the values that bf16
    inputs have.
    """
    wanted = _losses(document, "cpu", torch.float64, autocast=False)
    there = _losses(document, device, torch.float32, autocast=precision == "bf16")
    assert wanted.keys() == there.keys()
    for name, value in wanted.items():
        limit = _OF_GRADIENTS[precision] if name.startswith("gradient") else _OF_LOSSES
        largest = float(value.abs().max())
        assert float((there[name].cpu().double() - value).abs().max()) <= limit * max(largest, 1e-3), name


def _losses(document: dict[str, Any], device: str, kind: torch.dtype, *, autocast: bool) -> dict[str, Tensor]:
    """The losses of a step, and the gradients of their sum by logits and features."""
    # Noise differs from one kind of device to another: none is drawn.
    document = {**document, "sigma": 0.0} if document["kind"] == "blv" else document
    criterion = make_criterion(document).to(device=device, dtype=kind).train()
    for module in criterion.modules():
        if hasattr(module, "dropout"):
            module.dropout = 0.0
    generator = torch.Generator().manual_seed(3)
    logits, features = (
        torch.randn(2, n, *size, generator=generator) for n, size in ((3, (24, 32)), (4, (6, 8)))
    )
    target = torch.randint(0, 3, (2, 24, 32), generator=generator)
    target[:, :2] = IGNORE
    inputs = [value.bfloat16().to(device, kind).requires_grad_() for value in (logits, features)]
    given = [value.bfloat16() if autocast else value for value in inputs]
    # As the head calls it: whatever the model's precision, losses are computed outside it.
    with torch.autocast(device, torch.bfloat16, enabled=autocast), torch.autocast(device, enabled=False):
        losses = criterion(*given, target.to(device))
    named = {name: value for name, value in losses.items() if name.startswith("loss_")}
    torch.stack(list(named.values())).sum().backward()
    gradients = {
        f"gradient {number}": value.grad.detach()
        for number, value in enumerate(inputs)
        if value.grad is not None
    }
    return {**{name: value.detach() for name, value in named.items()}, **gradients}


class _Loss(torch.autograd.Function):
    """A loss of this value, with this gradient for every weight."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, value: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(slope.expand_as(weights).clone())
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return ctx.saved_tensors[0] * grads[0], None, None


def _fused(model: nn.Module, kind: str, **words: Any) -> StepOptimWrapper:
    optimizer = getattr(torch.optim, kind)(model.parameters(), lr=0.1, fused=True, **FUSED[kind])
    return StepOptimWrapper(optimizer, **words)


def take(
    model: nn.Module,
    wrapper: StepOptimWrapper,
    number: int,
    value: float,
    slope: float,
    *,
    no_wait: bool = False,
) -> None:
    """A step; `no_wait`: on CUDA it is an error if it makes the host wait for the device."""
    device = model.weight.device
    numbers = [torch.tensor(each, device=device) for each in (value, slope)]
    wrapper.guard.begin(number, [f"/data/images/p{number}.png"])
    if device.type == "cuda" and no_wait:
        torch.cuda.set_sync_debug_mode("error")
    try:
        loss = _Loss.apply(model.weight, *numbers)
        wrapper.add(loss)
        wrapper.move(loss.detach(), {"loss_pixel": loss.detach()})
    finally:
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")


def settle(wrapper: StepOptimWrapper) -> list[tuple[int, str]]:
    wrapper.guard.settle(wait=True)
    return wrapper.guard.news()


def check_no_wait(device: str, kind: str) -> None:
    """With a fused optimiser no host waits for the device, neither for this step nor for earlier ones."""
    model = nn.Linear(3, 2, bias=False).to(device)
    wrapper = _fused(model, kind, clip_gradient_norm=1.0)
    before = model.weight.detach().clone()
    for number in range(1, 6):
        take(model, wrapper, number, 1.0, 1.0, no_wait=True)
        if device != "cpu":
            torch.cuda.synchronize()  # so that the next step finds this one's numbers ready
    assert not torch.equal(model.weight, before)


def check_stop(device: str, kind: str, value: float, slope: float) -> None:
    """A fused optimiser leaves a bad step out by itself, and the run ends with its number."""
    model = nn.Linear(3, 2, bias=False).to(device)
    wrapper = _fused(model, kind, clip_gradient_norm=1.0)
    take(model, wrapper, 1, 1.0, 1.0)
    settle(wrapper)
    before = model.weight.detach().clone()
    with pytest.raises(NonFiniteLoss, match="at iteration 2"):  # noqa: PT012 - told now, or when it is read
        take(model, wrapper, 2, value, slope)
        settle(wrapper)
    assert torch.equal(model.weight, before)


def check_skip(device: str, kind: str) -> None:
    """Steps that are left out are as if they had not been, for weights and the optimiser's state."""
    model, other = (nn.Linear(3, 2, bias=False).to(device) for _ in range(2))
    other.load_state_dict(model.state_dict())
    wrapper, plain = _fused(model, kind, most_skipped=2), _fused(other, kind)
    for number, slope in enumerate((_NAN, 1.0, _INF, 0.5), start=1):
        take(model, wrapper, number, 1.0, slope)
        if slope < _INF:
            take(other, plain, number, 1.0, slope)
    assert [iteration for iteration, _ in settle(wrapper)] == [1, 3]
    assert torch.equal(model.weight, other.weight)


def check_scaler(device: str) -> None:
    """fp16: an infinite gradient under a finite loss moves nothing and halves the scale; NaN ends the run."""
    model = nn.Linear(3, 2, bias=False).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, fused=device != "cpu")
    wrapper = StepOptimWrapper(optimizer, precision="fp16")
    with torch.no_grad():
        loss = [torch.tensor(each, device=device) for each in (1.0, 1.0, _INF)]
    for number, slope in ((1, loss[1]), (2, loss[2])):
        before, scale = model.weight.detach().clone(), wrapper.state_dict().get("scaler", {}).get("scale")
        wrapper.guard.begin(number, [])
        value = _Loss.apply(model.weight, loss[0], slope)
        wrapper.add(value)
        wrapper.move(value.detach(), {"loss_pixel": value.detach()})
    settle(wrapper)
    assert torch.equal(model.weight, before)
    assert wrapper.state_dict()["scaler"]["scale"] == scale / 2
    with pytest.raises(NonFiniteLoss):  # noqa: PT012 - told now, or when it is read
        wrapper.guard.begin(3, [])
        value = _Loss.apply(model.weight, torch.tensor(_NAN, device=device), loss[1])
        wrapper.add(value)
        wrapper.move(value.detach(), {"loss_pixel": value.detach()})
        settle(wrapper)


def check_words(directory: Path, *, gpus: int) -> None:
    """bf16 with channels_last is near float32, and a deterministic run repeats itself bit for bit."""
    first = {}
    for name, words in {
        "plain": {"deterministic": True},
        "again": {"deterministic": True},
        "bf16": {"precision": "bf16", "channels_last": True},
    }.items():
        sink = ListSink()
        schedule = {"iterations": 2, "batch_size": 4, **words}
        resources = {"gpus_per_worker": gpus}
        plan = tiny_plan(
            directory, experiment=name, method="region_rebalance", schedule=schedule, resources=resources
        )
        train(plan, sink)
        first[name] = (
            sink.records[0]["loss_pixel"],
            torch.load(plan.layout.checkpoints(plan.experiment).local / "final.pth", weights_only=True)[
                "state_dict"
            ],
        )
    assert first["bf16"][0] == pytest.approx(first["plain"][0], rel=0.02)
    assert all(torch.equal(value, first["again"][1][key]) for key, value in first["plain"][1].items())
