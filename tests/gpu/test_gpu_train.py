"""What only a GPU can show: the same code trains there, and the branch changes no pixel path."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.factories import ListSink, tiny_plan
from trainer.losses.region import RegionFeatures, region_mean_features
from trainer.mmseg_adapter.scoring.labels import labels_of
from trainer.run.worker import train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]


@pytest.mark.parametrize("cpus", [1, 3])
def test_training_on_one_gpu(tmp_path: Path, cpus: int) -> None:
    """A run with a GPU ends with scores over every picture, in a checkpoint that a CPU can load; pictures may
    come from processes of their own.
    """
    resources = {"gpus_per_worker": 1, "cpus_per_worker": cpus}
    plan = tiny_plan(tmp_path, method="region_rebalance", resources=resources)
    result = train(plan, ListSink())
    assert result.evaluation["single_scale"].images == 50
    final = plan.layout.checkpoints(plan.experiment).local / "final.pth"
    state = torch.load(final, weights_only=True)["state_dict"]
    assert all(value.device.type == "cpu" for value in state.values())


def pooled(features: Tensor, target: Tensor, *, align_corners: bool) -> tuple[RegionFeatures, Tensor]:
    """The regions' means, and the gradient of a weighted sum of them by the features."""
    features = features.requires_grad_()
    regions = region_mean_features(features, target, num_classes=5, align_corners=align_corners)
    upstream = torch.randn(regions.features.shape, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad(regions.features, features, upstream.to(features.device))
    return regions, gradient


def relative_error(actual: Tensor, expected: Tensor) -> float:
    return float((actual.cpu().float() - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("align_corners", [False, True])
def test_pooling_equals_the_cpus(align_corners: bool, autocast: bool) -> None:
    """Region means on CUDA are those of the CPU within 1e-5 of the largest, gradients within 1e-4; under bf16
    autocast as well, which rounds only the gradient of bf16 features.
    """
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 16, 13, 17, generator=generator).bfloat16().float()
    target = torch.randint(0, 5, (2, 50, 64), generator=generator)
    on_cpu, gradient = pooled(features, target, align_corners=align_corners)
    there = features.detach().cuda().to(torch.bfloat16 if autocast else torch.float32)
    with torch.autocast("cuda", dtype=torch.bfloat16, enabled=autocast):
        on_gpu, gradient_there = pooled(there, target.cuda(), align_corners=align_corners)
    assert on_gpu.features.dtype is torch.float32
    assert relative_error(on_gpu.features.detach(), on_cpu.features.detach()) < 1e-5
    assert relative_error(gradient_there, gradient) < (1e-2 if autocast else 1e-4)
    assert torch.equal(on_gpu.pixel_counts.cpu(), on_cpu.pixel_counts)


@pytest.mark.parametrize("align_corners", [False, True])
def test_labels_equal_the_cpus(align_corners: bool) -> None:
    """Labels made on CUDA are those of the CPU, near ties aside."""
    logits = torch.randn(2, 150, 32, 43, generator=torch.Generator().manual_seed(0))
    on_cpu = labels_of(logits, (128, 171), align_corners=align_corners)
    on_gpu = labels_of(logits.cuda(), (128, 171), align_corners=align_corners).cpu()
    assert (on_gpu != on_cpu).sum() <= on_cpu.numel() // 1000
