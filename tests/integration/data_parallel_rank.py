"""One of two ranks: `python data_parallel_rank.py RANK RENDEZVOUS_FILE RESULT_FILE [cuda]`.

See test_data_parallel.py, and tests/gpu/test_two_gpus.py for `cuda`.

Each rank trains one step on its half of each case's batch under DistributedDataParallel; rank 0 writes the
gradients and the ranks' mean loss.
"""

from __future__ import annotations

import sys
import warnings
from datetime import timedelta
from itertools import product
from typing import Any, NamedTuple

import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from tests.unit.trainer.tiny_mmseg import HEADS, IGNORE, SIZE, K, factory, make_model, mmseg_scope
from trainer.mmseg_adapter.head import attach

METHODS: dict[str, dict[str, Any]] = {
    "default": {},
    "etf": {"classifier": "etf", "label_smoothing": 0.5, "lambda": 1.0},
}
LABELS = ("mixed", "uneven", "one rank ignored")
CASES = list(product(("FCNHead", "UPerHead"), METHODS, LABELS))
IMAGES = 4


class Step(NamedTuple):
    """What one step gives."""

    loss: Tensor  # ()
    gradients: dict[str, Tensor]  # by parameter


def make_attached(head: str, method: str, device: str = "cpu") -> nn.Module:
    """A model without dropout, in which no picture sees another, nor its worker: norms have fixed statistics.
    On CUDA they normalise by the whole batch, of all ranks (SyncBN).
    """
    model = make_model({**HEADS[head], "dropout_ratio": 0.0})
    attach(model, factory(kind="region_rebalance", **METHODS[method]))
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and device == "cpu":
            module.eval()
        if hasattr(module, "hidden_weight"):
            module.dropout = 0.0
    if device != "cpu":
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    return model.to(device)


def make_half(labels: str, images: slice, device: str = "cpu") -> tuple[Tensor, list[SegDataSample]]:
    """Pictures (n, 3, SIZE, SIZE) and labels of some of a batch's images."""
    generator = torch.Generator().manual_seed(5)
    pictures = torch.randn(IMAGES, 3, SIZE, SIZE, generator=generator)
    target = torch.randint(0, K, (IMAGES, 1, SIZE, SIZE), generator=generator)
    if labels != "mixed":
        target[0] = 1  # a single region, and few pixels: 2 regions on rank 0, 8 on rank 1
        target[1, :, 4:] = IGNORE
        target[1, :, :4] = 3
    if labels == "one rank ignored":
        target[2:] = IGNORE
    samples = [
        SegDataSample(gt_sem_seg=PixelData(data=one), metainfo={"img_shape": (SIZE, SIZE)})
        for one in target[images].to(device)
    ]
    return pictures[images].to(device), samples


def step(model: nn.Module, called: nn.Module, batch: tuple[Tensor, list[SegDataSample]]) -> Step:
    """Forward and backward of `called`, which is `model` or a wrapper around it."""
    total, _ = model.parse_losses(called(*batch, mode="loss"))
    total.backward()
    return Step(total.detach(), {name: value.grad for name, value in model.named_parameters()})


def main() -> None:
    rank, rendezvous, result_file, *more = int(sys.argv[1]), *sys.argv[2:]
    limit, device, ours = timedelta(seconds=60), "cpu", None
    if more == ["cuda"]:
        device, ours = f"cuda:{rank}", [rank]
        torch.cuda.set_device(rank)
    distributed.init_process_group(
        "nccl" if ours else "gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2, timeout=limit
    )
    images = slice(0, 2) if rank == 0 else slice(2, 4)
    steps = []
    for head, method, labels in CASES:
        model = make_attached(head, method, device)
        done = step(model, DistributedDataParallel(model, ours), make_half(labels, images, device))
        distributed.all_reduce(done.loss)
        steps.append((done.loss / 2, done.gradients))
    if rank == 0:
        torch.save(steps, result_file)
    distributed.destroy_process_group()


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # mmseg's own remarks
    with mmseg_scope():
        main()
