"""What only a GPU can show: the same code trains there, and the branch changes no pixel path."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.factories import ListSink, tiny_plan
from trainer.losses.region import region_mean_features
from trainer.mmseg_adapter.labels import labels_of
from trainer.worker import train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]


def test_training_on_one_gpu(tmp_path: Path) -> None:
    """A run with a GPU ends with scores over every picture, in a checkpoint that a CPU can load."""
    plan = tiny_plan(tmp_path, method="region_rebalance", resources={"gpus_per_worker": 1})
    result = train(plan, ListSink())
    assert result.evaluation["single_scale"].images == 50
    final = plan.layout.checkpoints(plan.experiment) / "final.pth"
    state = torch.load(final, weights_only=True)["state_dict"]
    assert all(value.device.type == "cpu" for value in state.values())


@pytest.mark.parametrize("align_corners", [False, True])
def test_pooling_equals_the_cpus(align_corners: bool) -> None:
    """Region means on CUDA are those of the CPU within 1e-5 of the largest."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 16, 13, 17, generator=generator)
    target = torch.randint(0, 5, (2, 50, 64), generator=generator)
    on_cpu = region_mean_features(features, target, num_classes=5, align_corners=align_corners)
    on_gpu = region_mean_features(features.cuda(), target.cuda(), num_classes=5, align_corners=align_corners)
    error = (on_gpu.features.cpu() - on_cpu.features).abs().max() / on_cpu.features.abs().max()
    assert error < 1e-5
    assert torch.equal(on_gpu.pixel_counts.cpu(), on_cpu.pixel_counts)


@pytest.mark.parametrize("align_corners", [False, True])
def test_labels_equal_the_cpus(align_corners: bool) -> None:
    """Labels made on CUDA are those of the CPU, near ties aside."""
    logits = torch.randn(2, 150, 32, 43, generator=torch.Generator().manual_seed(0))
    on_cpu = labels_of(logits, (128, 171), align_corners=align_corners)
    on_gpu = labels_of(logits.cuda(), (128, 171), align_corners=align_corners).cpu()
    assert (on_gpu != on_cpu).sum() <= on_cpu.numel() // 1000
